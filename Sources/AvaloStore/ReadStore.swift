import AvaloCore

/// Which messages of which chats there are, and up to where each user has read them, kept in the log's own file and
/// transactions. A part of ``EventLog``, under its rules: rows without meaning, the engine thread alone.
///
/// A message is an event of a chat; it may lie in the chat's own topic, in inboxes, or in both: each such topic is a scope.
/// Messages and markers are ordered by the log's sequence, which grows with everything that happens in it.
public protocol ReadStore: ReadRows {
  /// The sequence of what was appended last, the running transaction's included.
  var lastSequence: UInt64 { get }
  /// Counts the sequence up, for a change that is no event.
  func advanceSequence() throws(LogError) -> UInt64

  // MARK: Markers

  /// Stores the marker in the place of the one there was.
  func put(_ marker: StoredMarker) throws(LogError)
  /// Of all chats, those above `version`: the newest, at most `limit`, in the order of their versions.
  func markers(above version: UInt64, limit: Int) throws(LogError) -> [StoredMarker]
  /// Forgets at most `limit` markers of a user; returns how many.
  func removeMarkers(of user: String, limit: Int) throws(LogError) -> Int

  // MARK: Looking up

  /// The record at an offset; `nil` when it is gone.
  func record(of topic: TopicID, at offset: UInt64) throws(LogError) -> [UInt8]?
}

/// What makes an event a message of a chat.
public struct ChatMessage: Sendable, Equatable {
  /// The topic of the chat, whichever topic the event is in.
  public var chat: TopicID
  /// A hash of the message's id: the same message in two topics is one.
  public var message: UInt64
  /// A hash of who sent it; 0 when nobody is named.
  public var source: UInt64

  public init(chat: TopicID, message: UInt64, source: UInt64) {
    self.chat = chat
    self.message = message
    self.source = source
  }
}

/// A message as the log has it in one scope.
public struct StoredMessage: Sendable, Equatable {
  public var sequence: UInt64
  public var offset: UInt64
  /// Milliseconds since 1970.
  public var expires: Int64
  public var message: UInt64
  public var source: UInt64

  public init(sequence: UInt64, offset: UInt64, expires: Int64, message: UInt64, source: UInt64) {
    self.sequence = sequence
    self.offset = offset
    self.expires = expires
    self.message = message
    self.source = source
  }
}

/// Up to where a user has read a chat.
public struct StoredMarker: Sendable, Equatable {
  public var chat: TopicID
  public var user: String
  /// Messages up to and including this sequence are read.
  public var upTo: UInt64
  /// The sequence of the change.
  public var version: UInt64
  /// Milliseconds since 1970 when it moved.
  public var read: Int64
  /// The last message's id, for people's eyes; empty when it has none.
  public var messageID: String
  /// A hash of the request that moved it, so that its repetition is known, and how many messages it newly covered; 0 when
  /// the request had no name.
  public var request: UInt64
  public var count: UInt32

  public init(
    chat: TopicID, user: String, upTo: UInt64, version: UInt64, read: Int64, messageID: String, request: UInt64 = 0,
    count: UInt32 = 0
  ) {
    self.chat = chat
    self.user = user
    self.upTo = upTo
    self.version = version
    self.read = read
    self.messageID = messageID
    self.request = request
    self.count = count
  }
}
