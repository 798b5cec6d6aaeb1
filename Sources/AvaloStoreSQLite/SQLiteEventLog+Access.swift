import AvaloCore
import AvaloStore

// Members, revocations and erasures.
extension SQLiteEventLog {
  public func accessPosition() throws(LogError) -> UInt64 {
    guard try accessSQL.position.step() else { throw .corrupt(path: file.path, detail: "it has no access position") }
    defer { accessSQL.position.reset() }
    return accessSQL.position.unsigned(0)
  }

  public func setAccessPosition(_ position: UInt64) throws(LogError) {
    try accessSQL.setPosition.bind(1, position).run()
  }

  // MARK: Members

  public func member(_ user: String, of topic: TopicID) throws(LogError) -> UInt64? {
    try readSQL.lookups.member(user, of: topic)
  }

  public func memberCount(of topic: TopicID) throws(LogError) -> Int {
    guard try accessSQL.memberCount.bind(1, topic).step() else { return 0 }
    defer { accessSQL.memberCount.reset() }
    return Int(accessSQL.memberCount.integer(0))
  }

  public func members(of topic: TopicID, after: String, limit: Int) throws(LogError) -> [StoredMember] {
    let statement = accessSQL.membersAfter.bind(1, topic).bind(2, after).bind(3, Int64(limit))
    var members: [StoredMember] = []
    while try statement.step() {
      members.append(StoredMember(user: statement.text(0), since: statement.unsigned(1)))
    }
    return members
  }

  public func put(_ member: StoredMember, topic: TopicID) throws(LogError) {
    try accessSQL.upsertMember.bind(1, topic).bind(2, member.user).bind(3, member.since).run()
  }

  public func removeMember(_ user: String, of topic: TopicID) throws(LogError) {
    try accessSQL.deleteMember.bind(1, topic).bind(2, user).run()
  }

  public func memberships(of user: String, limit: Int) throws(LogError) -> [TopicID] {
    try integers(accessSQL.membershipsOf.bind(1, user).bind(2, Int64(limit)))
  }

  public func removeMemberships(of user: String, limit: Int) throws(LogError) -> Int {
    let topics = try memberships(of: user, limit: limit)
    for topic in topics { try removeMember(user, of: topic) }
    return topics.count
  }

  // MARK: Revocations

  public func revocations() throws(LogError) -> [Revocation] {
    var revocations: [Revocation] = []
    while try accessSQL.revocations.step() {
      guard let kind = RevocationKind(rawValue: accessSQL.revocations.integer(0)) else {
        accessSQL.revocations.reset()
        throw .corrupt(path: file.path, detail: "a revocation of no known kind")
      }
      revocations.append(
        Revocation(
          kind.target(accessSQL.revocations.text(1)), issuedBeforeMilliseconds: accessSQL.revocations.integer(2),
          untilMilliseconds: accessSQL.revocations.integer(3)))
    }
    return revocations
  }

  public func put(_ revocation: Revocation) throws(LogError) {
    let (kind, name) = RevocationKind.parts(of: revocation.target)
    try accessSQL.upsertRevocation.bind(1, kind.rawValue).bind(2, name)
      .bind(3, revocation.issuedBeforeMilliseconds).bind(4, revocation.untilMilliseconds).run()
  }

  public func remove(_ target: Revocation.Target) throws(LogError) {
    let (kind, name) = RevocationKind.parts(of: target)
    try accessSQL.deleteRevocation.bind(1, kind.rawValue).bind(2, name).run()
  }

  // MARK: Erasing

  public func erasures() throws(LogError) -> [StoredErasure] {
    var erasures: [StoredErasure] = []
    while try accessSQL.erasures.step() {
      erasures.append(StoredErasure(user: accessSQL.erasures.text(0), upTo: accessSQL.erasures.unsigned(1)))
    }
    return erasures
  }

  public func put(_ erasure: StoredErasure) throws(LogError) {
    try accessSQL.upsertErasure.bind(1, erasure.user).bind(2, erasure.upTo).run()
  }

  public func removeErasure(of user: String) throws(LogError) { try accessSQL.deleteErasure.bind(1, user).run() }

  public func eraseLast(of topic: TopicID) throws(LogError) -> Removed {
    var removed = Removed()
    let head = try head(of: topic)
    guard head > 0 else { return removed }
    if let last = try entries(of: topic, after: head - 1, upTo: head, limit: 1).first,
      try sql.eventHead.bind(1, last.event).step()
    {
      let owner = sql.eventHead.integer(0)
      if owner == topic || owner == 0 {
        removed.count(sql.eventHead.blob(1), times: 1, bytes: Int(sql.eventHead.integer(2)))
        removed.rows = 1
      }
      sql.eventHead.reset()
      // A shared record lives until its own time: other inboxes refer to it.
      if owner == topic { try sql.deleteEvent.bind(1, last.event).run() }
    }
    // Its index row stays: that is the head.
    try sql.setFloor.bind(1, topic).bind(2, head).run()
    return removed
  }

  public func releaseDelayed(topic name: String, limit: Int) throws(LogError) -> Int {
    let doomed = try integers(accessSQL.delayedOf.bind(1, name).bind(2, Int64(limit)))
    for id in doomed { try release(delayed: id) }
    return doomed.count
  }

  private func integers(_ statement: Statement) throws(LogError) -> [Int64] {
    var found: [Int64] = []
    while try statement.step() { found.append(statement.integer(0)) }
    return found
  }
}

/// How a revocation's target lies in the file.
private enum RevocationKind: Int64 {
  case user = 1
  case token = 2
  case everybody = 3

  func target(_ name: String) -> Revocation.Target {
    switch self {
    case .user: .user(name)
    case .token: .token(name)
    case .everybody: .everybody
    }
  }

  static func parts(of target: Revocation.Target) -> (RevocationKind, String) {
    switch target {
    case .user(let user): (.user, user)
    case .token(let id): (.token, id)
    case .everybody: (.everybody, "")
    }
  }
}
