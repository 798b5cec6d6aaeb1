import AvaloCore
import AvaloLink
import AvaloWire
import NIOCore

// What gateways ask.
extension PresenceRoom {

  // MARK: - Queries

  /// Who is here is known at once, but for what only the file knows of them; of the others it knows everything.
  func answer(_ query: PresenceQuery, on link: Link, _ correlation: UInt32) {
    metrics.queries.add(1)
    let came = now.monotonic
    if let refusal = budget.ask(query.viewer, query.users.count, at: came) { return refuse(refusal, link, correlation) }
    absent.turn(at: came)
    let missing = query.users.filter { id in
      !absent.contains(id) && (board.user(id).map { !board.isWhole($0) } ?? true)
    }
    guard !missing.isEmpty else { return answer(query, [:], on: link, correlation) }
    if let refusal = budget.begin(missing.count) { return refuse(refusal, link, correlation) }
    let bound = NIOLoopBound(link, eventLoop: context.eventLoop)
    let clock = context.monotonicClock
    let isLate: @Sendable () -> Bool = {
      Int64(clock.now.nanoseconds / 1_000_000) - came > PresenceLimits.queryMilliseconds
    }
    find(missing, isLate: isLate) { room, result in
      room.budget.end(missing.count)
      room.found(missing, result, for: query, on: bound.value, correlation)
    }
  }

  private func found(
    _ asked: [String], _ result: Result<[StoredUser], any Error>, for query: PresenceQuery, on link: Link,
    _ correlation: UInt32
  ) {
    switch result {
    case .failure(let error) where error is PresenceStore.TooLate: return refuse(PresenceRoom.late, link, correlation)
    case .failure: answer(query, [:], on: link, correlation)  // a file that cannot be read knows nobody
    case .success(let found):
      for user in found where user == StoredUser(id: user.id) && board.user(user.id) == nil {
        absent.insert(user.id, at: now.monotonic)
      }
      answer(
        query, Dictionary(found.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first }), on: link, correlation)
    }
    tell()
  }

  private static let late = Failed(
    .unavailable, "too much is asked about users who are away: try again", retryAfterMilliseconds: 2000)

  private func refuse(_ failed: Failed, _ link: Link, _ correlation: UInt32) {
    metrics.refusedQueries.add(1)
    link.send(failed, correlation: correlation)
  }

  private func answer(_ query: PresenceQuery, _ found: [String: StoredUser], on link: Link, _ correlation: UInt32) {
    let now = self.now
    let sight = ViewerSight(query)
    let entries = query.users.map { id -> PresenceAnswer.Entry in
      if let user = board.user(id) {
        if let stored = found[id], stored.isWhole { loaded(user, stored) }
        return sight.entry(
          id, board.state(of: user, at: now), chats: board.details[user]?.chats ?? [], typingIn: typing.chats(of: id))
      }
      return sight.entry(id, found[id]?.state ?? PresenceState(), chats: found[id]?.details.chats ?? [], typingIn: [])
    }
    link.send(PresenceAnswer(entries: entries), correlation: correlation)
  }

  // MARK: - Updates

  /// Applied at once, and told; answered when the file has it, or cannot be written.
  func update(_ update: SetPresence, on link: Link, _ correlation: UInt32) {
    absent.remove(update.user)
    let request = UpdateQueue.Request(update: update, link: link, correlation: correlation)
    let user = board.obtain(update.user)
    guard board.isWhole(user) else {
      board.want(user)
      return updates.waitForLoading(request, user)
    }
    apply(request, user)
  }

  /// What the file knows of a user has come, for whoever asked it first; what was said meanwhile follows, in its order.
  func loaded(_ user: UInt32, _ stored: StoredUser) {
    board.loaded(user, stored, at: now)
    if let chats = endedPartnerships.removeValue(forKey: user) {
      board.endPartnerships(of: user, in: chats)
      flush()
    }
    // These came before a removal, and then do not name its chat (``end(_:)``), or after it.
    for request in updates.takeLoading(user) { apply(request, user) }
  }

  func refuseUpdates(_ users: [UInt32]) {
    let refusal = Failed(
      .unavailable, "what is known of the user cannot be read at the moment: try again", retryAfterMilliseconds: 1000)
    for user in users {
      for request in updates.takeLoading(user) { request.link.send(refusal, correlation: request.correlation) }
    }
  }

  private func apply(_ request: UpdateQueue.Request, _ user: UInt32) {
    guard let incarnation = request.link.peer?.incarnation else { return }
    if let refusal = board.update(request.update, by: incarnation, at: now) {
      return request.link.send(refusal, correlation: request.correlation)
    }
    metrics.updates.add(1)
    let answer = PresenceSet(state: board.state(of: user, at: now))
    guard schedule.failures == 0 else { return request.link.send(answer, correlation: request.correlation) }
    updates.waitForWriting(request, user, answer)
    flush()
  }

  /// Users are in a chat no longer. Of those whom only the file knows it is noted until the file has said what it knows. The
  /// file is to have it soon: nobody waits for that, and who told it says it again for some seconds only.
  func end(_ ended: PartnershipsEnded) {
    for id in Set(ended.users) {
      let user = board.obtain(id)
      if board.isWhole(user) {
        board.endPartnerships(of: user, in: [ended.chat])
      } else {
        endedPartnerships[user, default: []].insert(ended.chat)
        updates.endPartnership(user, in: ended.chat)
        board.want(user)
      }
    }
    flush()
  }

  /// In force at once, and told to who watches; answered when the file has forgotten the user.
  func erase(_ erase: ErasePresence, on link: Link, _ correlation: UInt32) {
    let user = board.erase(erase.user)
    // What they said and nobody has heard yet goes with them.
    refuseUpdates([user])
    guard schedule.failures == 0 else { return link.send(UpdateQueue.notErased, correlation: correlation) }
    updates.waitForErasing(link, correlation, user)
    flush()
  }

  // MARK: - Connections

  /// The registry knows the connections; their gateways know what each is subscribed to.
  func list(_ query: ConnectionsQuery, on link: Link, _ correlation: UInt32) {
    let (entries, places, next) = board.list(query, at: now)
    let listing = Listing(
      list: ConnectionList(entries: entries, next: next), link: link, correlation: correlation,
      deadline: now.monotonic + PresenceLimits.describeMilliseconds)
    var byLink: [ObjectIdentifier: [UInt64: Int]] = [:]
    for (index, place) in places.enumerated() {
      if let link = place.link { byLink[link, default: [:]][place.session] = index }
    }
    let number = listings.begin(listing, asking: byLink)
    guard let number else { return finish(listing) }
    for (id, sessions) in byLink {
      self.link(id)?.send(DescribeSessions(sessions: sessions.keys.sorted()), correlation: number)
    }
  }

  func finish(_ listing: Listing) { listing.link.send(listing.list, correlation: listing.correlation) }

  /// Counted are those whose gateways are there to end them; the others are over already, or will be.
  func disconnect(_ query: Disconnect, on link: Link, _ correlation: UInt32) {
    var byLink: [ObjectIdentifier: [UInt64]] = [:]
    for place in board.places(of: query) {
      if let link = place.link { byLink[link, default: []].append(place.session) }
    }
    for (id, sessions) in byLink {
      for start in stride(from: 0, to: sessions.count, by: WireLimits.batchEntriesMax) {
        let batch = Array(sessions[start..<min(start + WireLimits.batchEntriesMax, sessions.count)])
        self.link(id)?.send(EndSessions(sessions: batch, mayReturn: query.mayReturn))
      }
    }
    let count = byLink.values.reduce(0) { $0 + $1.count }
    metrics.disconnected.add(count)
    link.send(Disconnected(count: UInt32(count)), correlation: correlation)
  }
}
