import AvaloCore

// Read state: gateway -> scheduler marks and asks, scheduler -> gateway answers and tells (delivery.md, rule 13).

/// A user has read a chat up to a message, or all of it. Answered by ``MarkedRead`` or ``Failed``.
public struct MarkRead: WireRequest, Equatable {
  public typealias Answer = MarkedRead
  public static let kind = FrameKind.markRead
  public var user: String
  /// The chat's id: its topic is `chat:{id}`.
  public var chat: String
  /// Whether the user may subscribe to the chat's topic. One who may not must have messages of it in their inbox.
  public var isParticipant: Bool
  /// Read up to this one; empty for everything there is.
  public var messageID: String
  /// What the call is named by, so that it can be tried again; empty when it has no name.
  public var request: String

  public init(user: String, chat: String, isParticipant: Bool, messageID: String = "", request: String = "") {
    self.user = user
    self.chat = chat
    self.isParticipant = isParticipant
    self.messageID = messageID
    self.request = request
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.string(chat)
    writer.boolean(isParticipant)
    writer.string(messageID)
    writer.string(request)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.identifier()
    chat = try reader.identifier()
    isParticipant = try reader.boolean()
    messageID = try reader.string()
    request = try reader.optionalIdentifier()
  }
}

/// Answers ``MarkRead``: where the user's marker stands now.
public struct MarkedRead: WireMessage, Equatable {
  public static let kind = FrameKind.markedRead
  /// Messages that this newly covered, each once, the user's own left out.
  public var count: UInt32
  /// Milliseconds since 1970 when the marker moved last; 0 when it never did.
  public var readMilliseconds: Int64

  public init(count: UInt32, readMilliseconds: Int64) {
    self.count = count
    self.readMilliseconds = readMilliseconds
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(count)
    writer.integer(readMilliseconds)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    count = try reader.integer()
    readMilliseconds = try reader.integer()
  }
}

/// What has the user not read, and who has read what in these chats? Answered by ``ReadState`` or ``Failed``.
public struct QueryReads: WireRequest, Equatable {
  public typealias Answer = ReadState
  public static let kind = FrameKind.queryReads
  public var user: String
  /// Ids of chats whose topics the user may subscribe to. Chats with messages in the user's inbox are told unasked.
  public var chats: [String]

  public init(user: String, chats: [String]) {
    self.user = user
    self.chats = chats
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.list(chats) { $0.string($1) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.identifier()
    chats = try reader.list { (r: inout WireReader) throws(WireError) in try r.identifier() }
  }
}

/// Answers ``QueryReads``.
public struct ReadState: WireMessage, Equatable {
  public static let kind = FrameKind.readState
  public struct Unread: Sendable, Equatable {
    public var chat: String
    public var count: UInt32

    public init(chat: String, count: UInt32) {
      self.chat = chat
      self.count = count
    }
  }
  public struct Receipt: Sendable, Equatable {
    public var chat: String
    /// Who has read.
    public var user: String
    /// Up to this message; empty when it has no id.
    public var messageID: String
    /// Milliseconds since 1970.
    public var readMilliseconds: Int64
    /// Of two receipts of one user in one chat the higher counts.
    public var version: UInt64

    public init(chat: String, user: String, messageID: String, readMilliseconds: Int64, version: UInt64) {
      self.chat = chat
      self.user = user
      self.messageID = messageID
      self.readMilliseconds = readMilliseconds
      self.version = version
    }
  }
  /// Every chat asked for, and those of the inbox with something unread.
  public var unread: [Unread]
  /// The newest of the chats asked for.
  public var receipts: [Receipt]

  public init(unread: [Unread], receipts: [Receipt]) {
    self.unread = unread
    self.receipts = receipts
  }

  public func encode(into writer: inout WireWriter) {
    writer.list(unread) {
      $0.string($1.chat)
      $0.integer($1.count)
    }
    writer.list(receipts) {
      $0.string($1.chat)
      $0.string($1.user)
      $0.string($1.messageID)
      $0.integer($1.readMilliseconds)
      $0.integer($1.version)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    unread = try reader.list { (r: inout WireReader) throws(WireError) in
      Unread(chat: try r.identifier(), count: try r.integer())
    }
    receipts = try reader.list { (r: inout WireReader) throws(WireError) in
      Receipt(
        chat: try r.identifier(), user: try r.identifier(), messageID: try r.string(),
        readMilliseconds: try r.integer(), version: try r.integer())
    }
  }
}

extension ReadState.Receipt {
  /// The receipt as an ``EventRecord``, which is what ``Latest`` carries.
  public func record() -> [UInt8] {
    var payload = JSONWriter(capacity: 128)
    payload.object {
      $0.member("chatId", chat)
      $0.member("userId", user)
      $0.member("messageId", messageID)
      $0.member("readAt", readMilliseconds)
    }
    return EventFields(
      type: .readReceipt, timestampMilliseconds: readMilliseconds, acceptedMicroseconds: readMilliseconds * 1000,
      eventID: "read_\(version)", sourceUserID: user, chatID: chat, messageID: messageID, payload: payload.take()
    ).record()
  }
}

/// After a new link, behind its watches: what of keyed state was told last before. The scheduler tells what has changed since
/// in the topics that this loop watches, as ``Latest``, and then ``LatestAt``. Carries the loop in its correlation.
public struct LatestSeen: WireMessage, Equatable {
  public static let kind = FrameKind.latestSeen
  /// 0 for nothing yet: then nothing is missed.
  public var version: UInt64

  public init(version: UInt64) { self.version = version }
  public func encode(into writer: inout WireWriter) { writer.integer(version) }
  public init(from reader: inout WireReader) throws(WireError) { version = try reader.integer() }
}

/// Answers ``LatestSeen``: all up to this version has been told.
public struct LatestAt: WireMessage, Equatable {
  public static let kind = FrameKind.latestAt
  public var version: UInt64

  public init(version: UInt64) { self.version = version }
  public func encode(into writer: inout WireWriter) { writer.integer(version) }
  public init(from reader: inout WireReader) throws(WireError) { version = try reader.integer() }
}

/// Keyed state that has changed, for every watched topic it concerns: no offset, no place in a log, and of two with one
/// key the higher version counts (delivery.md, rule 10). A view: it borrows the frame's bytes.
///
/// Body: u64 version, u32 record bytes, record, u32 targets, then per target u32 handle.
public struct Latest {
  public static let kind = FrameKind.latest
  /// Grows with every change of keyed state in the log.
  public let version: UInt64
  public let record: EventRecord
  public let targetCount: Int
  private let targetBytes: UnsafeRawBufferPointer

  public init(body: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(body)
    version = try reader.integer()
    record = try reader.record()
    targetCount = Int(try reader.integer(UInt32.self))
    guard targetCount <= WireLimits.batchEntriesMax else { throw .malformed("\(targetCount) targets") }
    targetBytes = try reader.bytes(targetCount * 4)
    try reader.finish()
  }

  public func target(_ index: Int) -> UInt32 {
    precondition(index >= 0 && index < targetCount)
    return UInt32(littleEndian: targetBytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
  }

  /// Appends one frame. `targets` has at most ``WireLimits/batchEntriesMax`` entries.
  public static func write(
    version: UInt64, record: some Collection<UInt8>, targets: some Collection<UInt32>, into writer: inout WireWriter
  ) {
    writer.frame(kind) {
      $0.integer(version)
      $0.blob(record)
      $0.integer(UInt32(targets.count))
      for target in targets { $0.integer(target) }
    }
  }
}
