import AvaloCore

// Messages of chats, and up to where they were read.
extension MemoryEventLog {
  public var lastSequence: UInt64 { state.sequence }

  public func advanceSequence() throws(LogError) -> UInt64 {
    count()
    return state.sequence
  }

  private func count() {
    state.sequence += 1
    undo.append { [state] in state.sequence -= 1 }
  }

  /// Everything that is appended counts; a message is found again.
  func note(_ message: ChatMessage?, in scope: TopicID, offset: UInt64, expires: Int64) {
    count()
    guard let message else { return }
    let scope = Int(scope)
    let known = state.topics[scope].messages[message.chat] ?? []
    guard !known.contains(where: { $0.message == message.message }) else { return }
    state.topics[scope].messages[message.chat, default: []].append(
      StoredMessage(
        sequence: state.sequence, offset: offset, expires: expires, message: message.message, source: message.source))
    undo.append { [state] in state.topics[scope].messages[message.chat]?.removeLast() }
  }

  // MARK: Messages

  public func message(_ message: UInt64, of chat: TopicID, in scope: TopicID) throws(LogError) -> StoredMessage? {
    state.message(message, of: chat, in: scope)
  }

  public func messages(_ range: MessageRange, limit: Int) throws(LogError) -> [StoredMessage] {
    state.messages(range, limit: limit)
  }

  public func messageCount(_ range: MessageRange, limit: Int) throws(LogError) -> Int {
    state.messages(range, limit: limit).count
  }

  public func chats(in scope: TopicID, limit: Int) throws(LogError) -> [TopicID] {
    state.chats(in: scope, limit: limit)
  }

  // MARK: Markers

  public func marker(of user: String, in chat: TopicID) throws(LogError) -> StoredMarker? {
    state.markers[user]?[chat]
  }

  public func put(_ marker: StoredMarker) throws(LogError) {
    let before = state.markers[marker.user, default: [:]].updateValue(marker, forKey: marker.chat)
    undo.append { [state] in state.markers[marker.user]?[marker.chat] = before }
  }

  public func markers(of chat: TopicID, since: Int64, limit: Int) throws(LogError) -> [StoredMarker] {
    state.markers(of: chat, since: since, limit: limit)
  }

  public func markers(above version: UInt64, limit: Int) throws(LogError) -> [StoredMarker] {
    let newer = state.markers.values.flatMap(\.values).filter { $0.version > version }
    return Array(newer.sorted { $0.version < $1.version }.suffix(limit))
  }

  public func removeMarkers(of user: String, limit: Int) throws(LogError) -> Int {
    let before = state.markers[user] ?? [:]
    let doomed = before.keys.sorted().prefix(limit)
    for chat in doomed { state.markers[user]?[chat] = nil }
    undo.append { [state] in state.markers[user] = before }
    return doomed.count
  }

  // MARK: Looking up

  public func name(of topic: TopicID) throws(LogError) -> String? { state.name(of: topic) }

  public func record(of topic: TopicID, at offset: UInt64) throws(LogError) -> [UInt8]? {
    let log = state.topics[Int(topic)]
    guard offset > 0 else { return nil }
    let index = log.index(after: offset - 1)
    return index < log.events.count && log.events[index].offset == offset ? log.events[index].record : nil
  }
}

/// For the owner within its transaction, and for readers between two of them.
extension MemoryLogState {
  func topic(named name: String) -> StoredTopic? {
    guard let id = names[name] else { return nil }
    return StoredTopic(id: id, head: topics[Int(id)].head, floor: topics[Int(id)].floor)
  }

  func name(of topic: TopicID) -> String? {
    topic > 0 && Int(topic) < topics.count ? topics[Int(topic)].name : nil
  }

  func message(_ message: UInt64, of chat: TopicID, in scope: TopicID) -> StoredMessage? {
    topics[Int(scope)].messages[chat]?.first { $0.message == message }
  }

  func messages(_ range: MessageRange, limit: Int) -> [StoredMessage] {
    let all = topics[Int(range.scope)].messages[range.chat] ?? []
    return Array(all.lazy.filter { range.contains($0) }.prefix(limit))
  }

  func chats(in scope: TopicID, limit: Int) -> [TopicID] {
    Array(topics[Int(scope)].messages.filter { !$0.value.isEmpty }.keys.sorted().prefix(limit))
  }

  func markers(of chat: TopicID, since: Int64, limit: Int) -> [StoredMarker] {
    Array(
      markers.values.compactMap { $0[chat] }.filter { $0.read >= since }.sorted { $0.version > $1.version }
        .prefix(limit))
  }
}
