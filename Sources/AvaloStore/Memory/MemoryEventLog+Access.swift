import AvaloCore

// Members, revocations and erasures.
extension MemoryEventLog {
  public func accessPosition() throws(LogError) -> UInt64 { state.access.position }

  public func setAccessPosition(_ position: UInt64) throws(LogError) {
    let before = state.access.position
    state.access.position = position
    undo.append { [state] in state.access.position = before }
  }

  // MARK: Members

  public func member(_ user: String, of topic: TopicID) throws(LogError) -> UInt64? {
    state.access.members[topic]?[user]
  }

  public func memberCount(of topic: TopicID) throws(LogError) -> Int { state.access.members[topic]?.count ?? 0 }

  public func members(of topic: TopicID, after: String, limit: Int) throws(LogError) -> [StoredMember] {
    (state.access.members[topic] ?? [:]).filter { $0.key > after }.sorted { $0.key < $1.key }.prefix(limit)
      .map { StoredMember(user: $0.key, since: $0.value) }
  }

  public func put(_ member: StoredMember, topic: TopicID) throws(LogError) {
    set(member.user, of: topic, since: member.since)
  }

  public func removeMember(_ user: String, of topic: TopicID) throws(LogError) {
    set(user, of: topic, since: nil)
  }

  public func memberships(of user: String, limit: Int) throws(LogError) -> [TopicID] {
    Array(state.access.members.filter { $0.value[user] != nil }.keys.prefix(limit))
  }

  public func removeMemberships(of user: String, limit: Int) throws(LogError) -> Int {
    let topics = try memberships(of: user, limit: limit)
    for topic in topics { set(user, of: topic, since: nil) }
    return topics.count
  }

  private func set(_ user: String, of topic: TopicID, since: UInt64?) {
    let before = state.access.members[topic]?[user]
    state.access.set(user, of: topic, since: since)
    undo.append { [state] in state.access.set(user, of: topic, since: before) }
  }

  // MARK: Revocations

  public func revocations() throws(LogError) -> [Revocation] { Array(state.access.revocations.values) }

  public func put(_ revocation: Revocation) throws(LogError) {
    let before = state.access.revocations.updateValue(revocation, forKey: revocation.target)
    undo.append { [state] in state.access.revocations[revocation.target] = before }
  }

  public func remove(_ target: Revocation.Target) throws(LogError) {
    let before = state.access.revocations.removeValue(forKey: target)
    undo.append { [state] in state.access.revocations[target] = before }
  }

  // MARK: Erasing

  public func erasures() throws(LogError) -> [StoredErasure] {
    state.access.erasures.map { StoredErasure(user: $0.key, upTo: $0.value) }
  }

  public func put(_ erasure: StoredErasure) throws(LogError) {
    let before = state.access.erasures.updateValue(erasure.upTo, forKey: erasure.user)
    undo.append { [state] in state.access.erasures[erasure.user] = before }
  }

  public func removeErasure(of user: String) throws(LogError) {
    let before = state.access.erasures.removeValue(forKey: user)
    undo.append { [state] in state.access.erasures[user] = before }
  }

  public func eraseLast(of topic: TopicID) throws(LogError) -> Removed {
    let before = state.topics[Int(topic)]
    var removed = Removed()
    if let last = before.events.last, last.offset == before.head {
      removed.count(last)
      state.topics[Int(topic)].events.removeLast()
    }
    state.topics[Int(topic)].floor = before.head
    state.bytes -= removed.bytes
    undo.append { [state, bytes = removed.bytes] in
      state.topics[Int(topic)] = before
      state.bytes += bytes
    }
    return removed
  }

  public func releaseDelayed(topic name: String, limit: Int) throws(LogError) -> Int {
    let doomed = state.delayed.filter { $0.topic == name }.prefix(limit)
    for event in doomed { try release(delayed: event.id) }
    return doomed.count
  }
}

/// What a ``MemoryLogState`` keeps of access.
struct MemoryAccess {
  var position: UInt64 = 0
  /// The first offset of each membership. No empty tables.
  var members: [TopicID: [String: UInt64]] = [:]
  var revocations: [Revocation.Target: Revocation] = [:]
  var erasures: [String: UInt64] = [:]

  mutating func set(_ user: String, of topic: TopicID, since: UInt64?) {
    members[topic, default: [:]][user] = since
    if members[topic]?.isEmpty == true { members[topic] = nil }
  }
}
