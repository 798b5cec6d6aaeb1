/// What is read of messages, markers and members. The log's owner sees its running transaction in it; an
/// ``EventLogReader`` what is committed, each answer as of its own moment.
public protocol ReadRows: AnyObject {
  func topic(named name: String) throws(LogError) -> StoredTopic?
  func name(of topic: TopicID) throws(LogError) -> String?
  /// The first offset of the user's present membership in the topic; `nil` for no member.
  func member(_ user: String, of topic: TopicID) throws(LogError) -> UInt64?

  /// Where the message lies in the scope, if it was appended there: the first time.
  func message(_ message: UInt64, of chat: TopicID, in scope: TopicID) throws(LogError) -> StoredMessage?
  /// In the order of their sequence, each message once.
  func messages(_ range: MessageRange, limit: Int) throws(LogError) -> [StoredMessage]
  /// How many ``messages(_:limit:)`` would give, without a look at each: at most `limit`, and about the price of finding
  /// so many rows in a tree.
  func messageCount(_ range: MessageRange, limit: Int) throws(LogError) -> Int
  /// Chats with messages in the scope, at most `limit`.
  func chats(in scope: TopicID, limit: Int) throws(LogError) -> [TopicID]

  func marker(of user: String, in chat: TopicID) throws(LogError) -> StoredMarker?
  /// Of a chat, newest first, at most `limit`, of those that moved at `since` or later.
  func markers(of chat: TopicID, since: Int64, limit: Int) throws(LogError) -> [StoredMarker]
}

extension ReadRows {
  public func messages(
    of chat: TopicID, in scope: TopicID, after: UInt64, upTo: UInt64, limit: Int
  ) throws(LogError) -> [StoredMessage] {
    try messages(MessageRange(chat: chat, scope: scope, after: after, upTo: upTo), limit: limit)
  }
}

/// A part of a chat's messages in one topic. Without more said, all that lie there: of those that have expired or were
/// evicted some may still do.
public struct MessageRange: Sendable, Equatable {
  public var chat: TopicID
  /// The topic they lie in.
  public var scope: TopicID
  /// Sequences above it.
  public var after: UInt64
  /// Up to and including this sequence.
  public var upTo: UInt64
  /// Offsets above it.
  public var floor: UInt64
  /// Those that expire later, in milliseconds since 1970.
  public var expired: Int64
  /// Not those of this source; 0 leaves nobody out.
  public var besides: UInt64

  public init(
    chat: TopicID, scope: TopicID, after: UInt64 = 0, upTo: UInt64 = .max, floor: UInt64 = 0, expired: Int64 = 0,
    besides source: UInt64 = 0
  ) {
    self.chat = chat
    self.scope = scope
    self.after = after
    self.upTo = upTo
    self.floor = floor
    self.expired = expired
    self.besides = source
  }

  public func contains(_ message: StoredMessage) -> Bool {
    message.sequence > after && message.sequence <= upTo && message.offset > floor && message.expires > expired
      && (besides == 0 || message.source != besides)
  }
}
