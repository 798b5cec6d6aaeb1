import AvaloStore

/// Statements that look up messages, markers and members, for the owner and for readers. Each gives what the file has and
/// what the caller found in memory *before* it asks the file: a row that moves from one to the other in between is seen in
/// both, never in neither.
struct LookupStatements {
  private let messageNamed: Statement
  private let messagesAfter: Statement
  private let messageCount: Statement
  private let lastMessage: Statement
  private let nextChat: Statement
  private let marker: Statement
  private let markersOfChat: Statement
  private let topicName: Statement
  private let member: Statement

  init(_ db: Connection) throws(LogError) {
    messageNamed = try db.prepare(
      "SELECT seq, position, event, message, source FROM messages WHERE scope = ? AND chat = ? AND message = ?")
    let isAskedFor =
      "scope = ? AND chat = ? AND seq > ? AND seq <= ? AND position > ? AND event >= ? AND (? = 0 OR source <> ?)"
    messagesAfter = try db.prepare(
      "SELECT seq, position, event, message, source FROM messages WHERE \(isAskedFor) ORDER BY seq LIMIT ?")
    messageCount = try db.prepare("SELECT count(*) FROM (SELECT 1 FROM messages WHERE \(isAskedFor) LIMIT ?)")
    lastMessage = try db.prepare("SELECT coalesce(max(seq), 0) FROM messages WHERE scope = ? AND chat = ?")
    nextChat = try db.prepare("SELECT chat FROM messages WHERE scope = ? AND chat > ? ORDER BY chat LIMIT 1")
    marker = try db.prepare(
      "SELECT upTo, version, moved, message, request, marked FROM markers WHERE user = ? AND chat = ?")
    markersOfChat = try db.prepare(
      """
      SELECT user, upTo, version, moved, message, request, marked FROM markers WHERE chat = ?
      ORDER BY version DESC LIMIT ?
      """)
    topicName = try db.prepare("SELECT name FROM topics WHERE id = ?")
    member = try db.prepare("SELECT since FROM members WHERE topic = ? AND user = ?")
  }

  // MARK: Messages

  /// What is in the file was appended before anything that is not.
  func message(_ name: IndexTier.MessageName, waiting: StoredMessage?) throws(LogError) -> StoredMessage? {
    guard try messageNamed.bind(1, name.scope).bind(2, name.chat).bind(3, name.message).step() else { return waiting }
    defer { messageNamed.reset() }
    return messageNamed.storedMessage
  }

  /// - `waiting`: those in memory, each once, in order.
  func messages(_ range: MessageRange, limit: Int, waiting: [StoredMessage]) throws(LogError) -> [StoredMessage] {
    var messages: [StoredMessage] = []
    bind(messagesAfter, range, limit)
    while try messagesAfter.step() { messages.append(messagesAfter.storedMessage) }
    // Those in memory that are in the file by now were seen there.
    let last = messages.last?.sequence ?? range.after
    for message in waiting where message.sequence > last && messages.count < limit {
      if try isFirst(message, range) { messages.append(message) }
    }
    return messages
  }

  /// - `waiting`: those in memory, each once, in order.
  func count(_ range: MessageRange, limit: Int, waiting: [StoredMessage]) throws(LogError) -> Int {
    guard try lastMessage.bind(1, range.scope).bind(2, range.chat).step() else { return 0 }
    let last = lastMessage.unsigned(0)
    lastMessage.reset()
    guard last > 0 else { return min(limit, waiting.count) }
    // Not those that come into the file from now on: they are among the waiting.
    var inFile = range
    inFile.upTo = min(range.upTo, last)
    bind(messageCount, inFile, limit)
    guard try messageCount.step() else { return 0 }
    var count = Int(messageCount.integer(0))
    messageCount.reset()
    for message in waiting where message.sequence > last && count < limit {
      if try isFirst(message, range) { count += 1 }
    }
    return count
  }

  /// Whether a message in memory is not the repetition of one in the file.
  private func isFirst(_ message: StoredMessage, _ range: MessageRange) throws(LogError) -> Bool {
    let name = IndexTier.MessageName(scope: range.scope, chat: range.chat, message: message.message)
    return try self.message(name, waiting: message)?.sequence == message.sequence
  }

  private func bind(_ statement: Statement, _ range: MessageRange, _ limit: Int) {
    statement.bind(1, range.scope).bind(2, range.chat).bind(3, Int64(clamping: range.after))
      .bind(4, Int64(clamping: range.upTo)).bind(5, Int64(clamping: range.floor))
      .bind(6, SQLiteLimits.firstEvent(expiringAfter: range.expired)).bind(7, range.besides).bind(8, range.besides)
      .bind(9, Int64(limit))
  }

  /// - `waiting`: chats of messages in memory.
  func chats(in scope: TopicID, limit: Int, waiting: Set<TopicID>) throws(LogError) -> [TopicID] {
    var chats = waiting
    var last: TopicID = 0
    while chats.count < limit {
      nextChat.bind(1, scope).bind(2, last)
      guard try nextChat.step() else { break }
      last = nextChat.integer(0)
      nextChat.reset()
      chats.insert(last)
    }
    return Array(chats.sorted().prefix(limit))
  }

  // MARK: Others

  func marker(of user: String, in chat: TopicID) throws(LogError) -> StoredMarker? {
    guard try marker.bind(1, user).bind(2, chat).step() else { return nil }
    defer { marker.reset() }
    return StoredMarker(
      chat: chat, user: user, upTo: marker.unsigned(0), version: marker.unsigned(1), read: marker.integer(2),
      messageID: marker.text(3), request: marker.unsigned(4), count: UInt32(clamping: marker.integer(5)))
  }

  /// Versions grow with time, so that the newest are looked at and no more.
  func markers(of chat: TopicID, since: Int64, limit: Int) throws(LogError) -> [StoredMarker] {
    var markers: [StoredMarker] = []
    let rows = markersOfChat.bind(1, chat).bind(2, Int64(limit))
    while try rows.step() {
      guard rows.integer(3) >= since else { continue }
      markers.append(rows.storedMarker(of: chat))
    }
    return markers
  }

  func name(of topic: TopicID) throws(LogError) -> String? {
    guard try topicName.bind(1, topic).step() else { return nil }
    defer { topicName.reset() }
    return topicName.text(0)
  }

  func member(_ user: String, of topic: TopicID) throws(LogError) -> UInt64? {
    guard try member.bind(1, topic).bind(2, user).step() else { return nil }
    defer { member.reset() }
    return member.unsigned(0)
  }
}

extension Statement {
  /// Of a row that begins with sequence, position, event, message, source.
  fileprivate var storedMessage: StoredMessage {
    StoredMessage(
      sequence: unsigned(0), offset: unsigned(1), expires: integer(2) >> SQLiteLimits.eventNumberBits,
      message: unsigned(3), source: unsigned(4))
  }
}
