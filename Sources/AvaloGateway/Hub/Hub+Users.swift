import AvaloCore

// Which sessions of this loop belong to a user: the first is found by the user's name, the others are linked to it.
extension Hub {

  func connectionCount(of user: String) -> Int {
    first(of: user).map { Int($0.countOfUser) } ?? 0
  }

  /// Calls `body` with each counted session of a user; `body` may end the one it is given.
  func forEachSession(of user: String, _ body: (Session) -> Void) {
    var next = first(of: user)?.connection.slot ?? Session.none
    while next != Session.none, let session = sessions[Int(next)] {
      next = session.nextOfUser
      body(session)
    }
  }

  /// Counts a session among its user's.
  func enlist(_ session: Session) {
    precondition(!session.isCounted, "session \(session.number) is counted already")
    session.isCounted = true
    let hash = session.withUser { HashIndex.hash($0) }
    let slot = session.connection.slot
    guard let first = session.withUser({ first(of: $0, hash) }) else {
      session.countOfUser = 1
      return users.insert(slot, hash: hash)
    }
    // Behind the first, which keeps the count.
    first.countOfUser += 1
    session.previousOfUser = first.connection.slot
    session.nextOfUser = first.nextOfUser
    if let second = linked(first.nextOfUser) { second.previousOfUser = slot }
    first.nextOfUser = slot
  }

  func delist(_ session: Session) {
    precondition(session.isCounted, "session \(session.number) is not counted")
    session.isCounted = false
    let next = linked(session.nextOfUser)
    if let previous = linked(session.previousOfUser) {
      previous.nextOfUser = session.nextOfUser
      next?.previousOfUser = session.previousOfUser
      let user = session.user
      first(of: user)?.countOfUser -= 1
    } else if let next {
      next.previousOfUser = Session.none
      next.countOfUser = session.countOfUser - 1
      users.replace(session.connection.slot, with: next.connection.slot, hash: session.withUser { HashIndex.hash($0) })
    } else {
      users.remove(session.connection.slot, hash: session.withUser { HashIndex.hash($0) })
    }
    session.nextOfUser = Session.none
    session.previousOfUser = Session.none
  }

  private func first(of user: String) -> Session? {
    var user = user
    return user.withUTF8 {
      let key = UnsafeRawBufferPointer($0)
      return first(of: key, HashIndex.hash(key))
    }
  }

  private func first(of user: UnsafeRawBufferPointer, _ hash: UInt32) -> Session? {
    users.first(hash) { slot in sessions[Int(slot)]?.withUser { $0.elementsEqual(user) } ?? false }
      .flatMap { sessions[Int($0)] }
  }

  private func linked(_ slot: UInt32) -> Session? {
    slot == Session.none ? nil : sessions[Int(slot)]
  }
}
