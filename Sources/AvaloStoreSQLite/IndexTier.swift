import AvaloStore

/// Index rows in memory, in the order of their arrival: where events lie and which idempotency keys are taken.
/// Rows of one topic are chained backwards, so that a tier is one array and two small tables whatever the topics.
struct IndexTier: Sendable {
  struct Row: Sendable {
    var topic: TopicID
    /// Of the event; of a key without an event what the key remembers.
    var position: UInt64
    /// 0 for a key without an event.
    var event: Int64
    /// 0 for an event without a key.
    var hash: UInt64
    var content: UInt64
    var accepted: Int64
    var until: Int64
    /// The index of the topic's event before this one, or -1.
    var previous: Int32 = -1
    /// The index among the messages, or -1 for what is none.
    var message: Int32 = -1

    var key: StoredKey {
      StoredKey(hash: hash, content: content, offset: position, accepted: accepted, until: until)
    }

    init(
      topic: TopicID, position: UInt64, event: Int64, hash: UInt64 = 0, content: UInt64 = 0, accepted: Int64 = 0,
      until: Int64 = 0
    ) {
      self.topic = topic
      self.position = position
      self.event = event
      self.hash = hash
      self.content = content
      self.accepted = accepted
      self.until = until
    }
    init(topic: TopicID, position: UInt64, event: Int64, key: StoredKey?) {
      self.init(
        topic: topic, position: position, event: event, hash: key?.hash ?? 0, content: key?.content ?? 0,
        accepted: key?.accepted ?? 0, until: key?.until ?? 0)
    }
  }
  /// A row that is a message of a chat.
  struct Message: Sendable {
    var scope: TopicID
    var chat: TopicID
    var stored: StoredMessage
    var event: Int64
    /// The index of the message before this one in the same chat and scope, or -1.
    var previous: Int32 = -1
    /// Of the first of a chat in its scope: the index of the first of another chat there, or -1.
    var previousChat: Int32 = -1
    /// Whether the same message was here before.
    var isRepeated = false

    init(_ message: ChatMessage, _ row: Row, sequence: Int64) {
      scope = row.topic
      chat = message.chat
      event = row.event
      stored = StoredMessage(
        sequence: UInt64(sequence), offset: row.position, expires: row.event >> SQLiteLimits.eventNumberBits,
        message: message.message, source: message.source)
    }
  }
  struct MessageName: Hashable, Sendable {
    var scope: TopicID
    var chat: TopicID
    var message: UInt64
  }
  private struct Place: Hashable {
    var scope: TopicID
    var chat: TopicID
  }
  private struct KeyName: Hashable {
    var topic: TopicID
    var hash: UInt64
  }

  private(set) var rows: [Row] = []
  private(set) var messages: [Message] = []
  private var lastMessageOf: [Place: Int32] = [:]
  /// The first message of the chat that came last to the scope.
  private var lastChatOf: [TopicID: Int32] = [:]
  private var messageOf: [MessageName: Int32] = [:]
  private var lastOf: [TopicID: Int32] = [:]
  private var keyOf: [KeyName: Int32] = [:]

  var count: Int { rows.count }
  var isEmpty: Bool { rows.isEmpty }

  mutating func append(_ row: Row, message: Message? = nil) {
    var row = row
    let index = Int32(rows.count)
    row.message = message.map { add($0) } ?? -1
    if row.event != 0 { row.previous = lastOf.updateValue(index, forKey: row.topic) ?? -1 }
    if row.hash != 0 { keyOf[KeyName(topic: row.topic, hash: row.hash)] = index }
    rows.append(row)
  }

  mutating func absorb(_ tier: IndexTier) {
    for row in tier.rows { append(row, message: row.message < 0 ? nil : tier.messages[Int(row.message)]) }
  }

  private mutating func add(_ message: Message) -> Int32 {
    var message = message
    let index = Int32(messages.count)
    message.previous =
      lastMessageOf.updateValue(index, forKey: Place(scope: message.scope, chat: message.chat)) ?? -1
    if message.previous < 0 {
      message.previousChat = lastChatOf.updateValue(index, forKey: message.scope) ?? -1
    }
    let name = MessageName(scope: message.scope, chat: message.chat, message: message.stored.message)
    // The first time counts.
    message.isRepeated = messageOf[name] != nil
    if !message.isRepeated { messageOf[name] = index }
    messages.append(message)
    return index
  }

  /// The message as it was appended first.
  func message(_ name: MessageName) -> StoredMessage? { messageOf[name].map { messages[Int($0)].stored } }

  /// Each once, in the order of their sequence; the newest, when there are more than `limit`.
  func messages(_ range: MessageRange, newest limit: Int = .max) -> [StoredMessage] {
    var found: [StoredMessage] = []
    var next = lastMessageOf[Place(scope: range.scope, chat: range.chat)] ?? -1
    while next >= 0, found.count < limit {
      let message = messages[Int(next)]
      if message.stored.sequence <= range.after { break }
      if !message.isRepeated, range.contains(message.stored) { found.append(message.stored) }
      next = message.previous
    }
    return found.reversed()
  }

  /// The chats that have messages in the scope.
  func chats(in scope: TopicID) -> Set<TopicID> {
    var chats = Set<TopicID>()
    var next = lastChatOf[scope] ?? -1
    while next >= 0 {
      chats.insert(messages[Int(next)].chat)
      next = messages[Int(next)].previousChat
    }
    return chats
  }

  mutating func removeAll() {
    rows.removeAll(keepingCapacity: true)
    lastOf.removeAll(keepingCapacity: true)
    keyOf.removeAll(keepingCapacity: true)
    messages.removeAll(keepingCapacity: true)
    lastMessageOf.removeAll(keepingCapacity: true)
    lastChatOf.removeAll(keepingCapacity: true)
    messageOf.removeAll(keepingCapacity: true)
  }

  /// The topic's last offset here.
  func head(of topic: TopicID) -> UInt64? { lastOf[topic].map { rows[Int($0)].position } }

  /// The key as it was stored last.
  func key(topic: TopicID, hash: UInt64) -> StoredKey? {
    keyOf[KeyName(topic: topic, hash: hash)].map { rows[Int($0)].key }
  }

  /// The topic's events above `after`, up to and including `upTo`, put before those already in `entries`.
  func collect(topic: TopicID, after: UInt64, upTo: UInt64, into entries: inout [IndexEntry]) {
    var found: [IndexEntry] = []
    var next = lastOf[topic] ?? -1
    while next >= 0 {
      let row = rows[Int(next)]
      if row.position <= after { break }
      if row.position <= upTo { found.append(IndexEntry(position: row.position, event: row.event)) }
      next = row.previous
    }
    entries.insert(contentsOf: found.reversed(), at: 0)
  }
}

/// Where one event of a topic lies.
struct IndexEntry: Equatable, Sendable {
  var position: UInt64
  var event: Int64
}
