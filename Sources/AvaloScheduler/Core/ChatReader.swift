import AvaloStore

/// A user and the places where messages of a chat are theirs.
struct ChatReader {
  let user: String
  struct Scope {
    var topic: TopicID
    /// Offsets up to it are gone, or were never theirs.
    var floor: UInt64
  }
  /// The chat's topic; 0 as long as it has no message.
  var chat: TopicID
  /// The inbox, and the chat's own topic.
  var scopes: [Scope] = []
  /// The user as the source of their own messages.
  var source: UInt64

  /// - `membership`: the first offset of a member, by the log.
  init(
    _ user: String, chat: StoredTopic?, inbox: StoredTopic?, membership: UInt64?, isParticipant: Bool,
    key: SipHash.Key
  ) {
    self.user = user
    self.chat = chat?.id ?? 0
    source = ChatReader.hash(user, "user", key)
    if let inbox { scopes.append(Scope(topic: inbox.id, floor: inbox.floor)) }
    // Who is neither a member nor may subscribe to it has nothing of the chat's own topic.
    if let chat, isParticipant || membership != nil {
      scopes.append(Scope(topic: chat.id, floor: max(chat.floor, max(1, membership ?? 1) - 1)))
    }
  }

  func hasMessagesInInbox(_ rows: any ReadRows) throws(LogError) -> Bool {
    guard chat != 0, let inbox = scopes.first, inbox.topic != chat else { return false }
    return try rows.messageCount(MessageRange(chat: chat, scope: inbox.topic), limit: 1) > 0
  }

  static func hash(_ bytes: UnsafeRawBufferPointer, _ purpose: String, _ key: SipHash.Key) -> UInt64 {
    var hash = SipHash(key: key)
    hash.combine(purpose)
    hash.combine(bytes)
    return max(1, hash.finalize())
  }
  static func hash(_ text: String, _ purpose: String, _ key: SipHash.Key) -> UInt64 {
    var text = text
    return text.withUTF8 { hash(UnsafeRawBufferPointer($0), purpose, key) }
  }
}

/// Counts what a user has not read of a chat, over the rows of the log's owner or of a reader. Messages count once, by
/// their id, over the inbox and the chat's own topic; the user's own do not count, nor what has expired or was evicted.
struct UnreadCounter {
  let rows: any ReadRows
  /// Milliseconds since 1970: what has expired by then does not count.
  let now: Int64

  /// Where there are messages of it. With one such place there is nothing to compare.
  func scopes(_ reader: ChatReader) throws(LogError) -> [ChatReader.Scope] {
    guard reader.chat != 0 else { return [] }
    var scopes: [ChatReader.Scope] = []
    for scope in reader.scopes
    where try rows.messageCount(MessageRange(chat: reader.chat, scope: scope.topic), limit: 1) > 0 {
      scopes.append(scope)
    }
    return scopes
  }

  /// How many there are in one place, up to `max`.
  func count(_ reader: ChatReader, in scope: ChatReader.Scope, after: UInt64, max: Int) throws(LogError) -> Int {
    try rows.messageCount(range(reader, scope, after, .max), limit: max)
  }

  /// The user's unread messages of that part of the sequence, each once, and the last of them. Of each place at most `max`
  /// are looked at, the oldest first.
  func unread(
    _ reader: ChatReader, in scopes: [ChatReader.Scope], after: UInt64, upTo: UInt64, max: Int
  ) throws(LogError) -> (count: Int, last: (scope: TopicID, message: StoredMessage)?) {
    var seen = Set<UInt64>()
    var last: (scope: TopicID, message: StoredMessage)?
    for scope in scopes {
      for message in try rows.messages(range(reader, scope, after, upTo), limit: max) {
        guard !seen.contains(message.message) else { continue }
        // A copy elsewhere that was read counts for both.
        guard try !wasRead(message.message, reader, in: scopes, besides: scope.topic, by: after) else { continue }
        seen.insert(message.message)
        if message.sequence > last?.message.sequence ?? 0 { last = (scope.topic, message) }
      }
    }
    return (seen.count, last)
  }

  private func range(
    _ reader: ChatReader, _ scope: ChatReader.Scope, _ after: UInt64, _ upTo: UInt64
  ) -> MessageRange {
    MessageRange(
      chat: reader.chat, scope: scope.topic, after: after, upTo: upTo, floor: scope.floor, expired: now,
      besides: reader.source)
  }

  private func wasRead(
    _ message: UInt64, _ reader: ChatReader, in scopes: [ChatReader.Scope], besides scope: TopicID, by after: UInt64
  ) throws(LogError) -> Bool {
    guard after > 0 else { return false }
    for other in scopes where other.topic != scope {
      if let copy = try rows.message(message, of: reader.chat, in: other.topic), copy.sequence <= after { return true }
    }
    return false
  }
}
