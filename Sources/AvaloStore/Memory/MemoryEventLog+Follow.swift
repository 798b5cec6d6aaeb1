import AvaloCore

// Followers, and what is kept for them.
extension MemoryEventLog {
  public func followers() throws(LogError) -> [StoredFollower] { state.followers.values.sorted { $0.name < $1.name } }

  public func put(_ follower: StoredFollower) throws(LogError) {
    let before = state.followers.updateValue(follower, forKey: follower.name)
    undo.append { [state] in state.followers[follower.name] = before }
  }

  public func removeFollower(_ name: String) throws(LogError) {
    let before = state.followers.removeValue(forKey: name)
    undo.append { [state] in state.followers[name] = before }
  }

  public func followLast(_ type: EventType) throws(LogError) {
    state.followed.append(
      .init(
        followed: Followed(sequence: state.sequence, type: type), topic: state.appended.topic,
        offset: state.appended.offset))
    undo.append { [state] in state.followed.removeLast() }
  }

  public func followedCount() throws(LogError) -> Int { state.followed.count }

  public func dropFollowed(upTo sequence: UInt64, limit: Int) throws(LogError) -> [Followed] {
    let dropped = Array(state.followed.prefix(limit).prefix { $0.followed.sequence <= sequence })
    state.followed.removeFirst(dropped.count)
    undo.append { [state] in state.followed.insert(contentsOf: dropped, at: 0) }
    return dropped.map(\.followed)
  }
}

extension MemoryEventLogReader {
  func follow(_ request: FollowRequest) throws(LogError) -> FollowPage {
    state.lock()
    defer { state.unlock() }
    var page = FollowPage(through: request.after)
    for row in state.followed[state.followedIndex(after: request.after)...].prefix(StoreLimits.pageRowsMax) {
      page.through = row.followed.sequence
      guard request.types.contains(row.followed.type) else { continue }
      let log = state.topics[Int(row.topic)]
      let index = log.index(after: row.offset - 1)
      guard index < log.events.count, log.events[index].offset == row.offset,
        log.events[index].expires > request.nowMilliseconds, !state.isBeingErased(log.name, row.offset)
      else {
        page.gone += 1
        continue
      }
      let found = FollowPage.Row(
        sequence: row.followed.sequence, topic: log.name, offset: row.offset, record: log.events[index].record)
      guard page.add(found, of: request) else { break }
    }
    return page
  }
}

extension MemoryLogState {
  /// An event that is kept for followers, and where it lies.
  struct FollowedEvent {
    var followed: Followed
    var topic: TopicID
    var offset: UInt64
  }

  func isBeingErased(_ topic: String, _ offset: UInt64) -> Bool {
    let inbox = "user:"
    guard !access.erasures.isEmpty, topic.hasPrefix(inbox) else { return false }
    return access.erasures[String(topic.dropFirst(inbox.count))].map { offset <= $0 } ?? false
  }

  /// The index of the first followed event beyond `sequence`.
  func followedIndex(after sequence: UInt64) -> Int {
    var low = 0
    var high = followed.count
    while low < high {
      let middle = (low + high) / 2
      if followed[middle].followed.sequence <= sequence { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
