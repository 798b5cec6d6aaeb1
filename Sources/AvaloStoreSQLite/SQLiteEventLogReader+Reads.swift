import AvaloStore

// Read state as it is committed. What waits in memory is looked at before the file, each time.
extension SQLiteEventLogReader {
  func topic(named name: String) throws(LogError) -> StoredTopic? {
    guard var topic = try find(name) else { return nil }
    let waiting = recent.head(of: topic.id) ?? 0
    topic.head = max(waiting, try storedHead(of: topic.id))
    return topic
  }

  func name(of topic: TopicID) throws(LogError) -> String? { try lookups.name(of: topic) }
  func member(_ user: String, of topic: TopicID) throws(LogError) -> UInt64? { try lookups.member(user, of: topic) }

  func message(_ message: UInt64, of chat: TopicID, in scope: TopicID) throws(LogError) -> StoredMessage? {
    let name = IndexTier.MessageName(scope: scope, chat: chat, message: message)
    return try lookups.message(name, waiting: recent.message(name))
  }

  func messages(_ range: MessageRange, limit: Int) throws(LogError) -> [StoredMessage] {
    try lookups.messages(range, limit: limit, waiting: recent.messages(range))
  }

  func messageCount(_ range: MessageRange, limit: Int) throws(LogError) -> Int {
    let waiting = recent.messages(range, newest: limit)
    let count = try lookups.count(range, limit: limit, waiting: waiting.messages)
    // Some of the newest may be repetitions of what is in the file: then older ones count.
    guard count < limit, !waiting.isWhole else { return count }
    return try lookups.count(range, limit: limit, waiting: recent.messages(range))
  }

  func chats(in scope: TopicID, limit: Int) throws(LogError) -> [TopicID] {
    try lookups.chats(in: scope, limit: limit, waiting: recent.chats(in: scope))
  }

  func marker(of user: String, in chat: TopicID) throws(LogError) -> StoredMarker? {
    try lookups.marker(of: user, in: chat)
  }

  func markers(of chat: TopicID, since: Int64, limit: Int) throws(LogError) -> [StoredMarker] {
    try lookups.markers(of: chat, since: since, limit: limit)
  }
}
