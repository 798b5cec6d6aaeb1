import AvaloCore

// Gateway -> scheduler asks (`Publish`), scheduler -> gateway tells (`Published`). Shapes in the order of encoding.

/// Append one event to `topic`. Answered by ``Published`` or ``Failed``.
public struct Publish: WireMessage, Equatable {
  public static let kind = FrameKind.publish
  /// Who published, for idempotency: the API key's owner, or `user:{id}`. Survives a key's rotation.
  public var owner: String
  public var topic: Topic
  /// Over everything the publisher said: the same event id with another hash is ALREADY_EXISTS.
  public var contentHash: UInt64
  /// Milliseconds since 1970 before which the event is held; 0 for at once.
  public var deliverAtMilliseconds: Int64
  /// An ``EventRecord``.
  public var record: [UInt8]
  /// The user who publishes; `nil` for a server.
  public var user: Publisher?

  /// A user who publishes with their token. The scheduler has the last word, in the event's own transaction: refused
  /// UNAUTHENTICATED when the token was revoked, PERMISSION_DENIED when a membership that is needed has ended.
  public struct Publisher: Sendable, Equatable {
    public var token: TokenName
    /// Nothing but being a member of the topic lets them publish there.
    public var mustBeMember: Bool

    public init(_ token: TokenName, mustBeMember: Bool) {
      self.token = token
      self.mustBeMember = mustBeMember
    }
  }

  public init(
    owner: String, topic: Topic, contentHash: UInt64, deliverAtMilliseconds: Int64 = 0, record: [UInt8],
    user: Publisher? = nil
  ) {
    self.owner = owner
    self.topic = topic
    self.contentHash = contentHash
    self.deliverAtMilliseconds = deliverAtMilliseconds
    self.record = record
    self.user = user
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(owner)
    writer.string(topic.name)
    writer.integer(contentHash)
    writer.integer(deliverAtMilliseconds)
    writer.blob(record)
    writer.boolean(user != nil)
    guard let user else { return }
    writer.token(user.token)
    writer.boolean(user.mustBeMember)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    owner = try reader.string()
    topic = try reader.topic()
    contentHash = try reader.integer()
    deliverAtMilliseconds = try reader.integer()
    record = Array(try reader.record().bytes)
    if try reader.boolean() { user = Publisher(try reader.token(), mustBeMember: try reader.boolean()) }
  }
}

/// The event is in the log (or, delayed, in the queue: then the position is ``Position/none``).
public struct Published: WireMessage, Equatable {
  public static let kind = FrameKind.published
  public var position: Position
  public var durability: Durability
  /// The same event had been accepted before; the position is that one's.
  public var duplicate: Bool

  public init(position: Position, durability: Durability, duplicate: Bool) {
    self.position = position
    self.durability = durability
    self.duplicate = duplicate
  }

  public func encode(into writer: inout WireWriter) {
    writer.position(position)
    writer.integer(durability.rawValue)
    writer.boolean(duplicate)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    position = try reader.position()
    durability = try reader.durability()
    duplicate = try reader.boolean()
  }
}

/// Append one event to the inboxes of many users. Answered by ``Broadcasted`` or ``Failed``; all or none.
public struct Broadcast: WireMessage, Equatable {
  public static let kind = FrameKind.broadcast
  public var owner: String
  public var contentHash: UInt64
  /// An ``EventRecord``, stored once.
  public var record: [UInt8]
  /// User ids, each once, at most ``Limits/broadcastRecipientsMax``.
  public var recipients: [String]

  public init(owner: String, contentHash: UInt64, record: [UInt8], recipients: [String]) {
    self.owner = owner
    self.contentHash = contentHash
    self.record = record
    self.recipients = recipients
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(owner)
    writer.integer(contentHash)
    writer.blob(record)
    writer.list(recipients) { $0.string($1) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    owner = try reader.string()
    contentHash = try reader.integer()
    record = Array(try reader.record().bytes)
    recipients = try reader.list(max: Limits.broadcastRecipientsMax) { (r: inout WireReader) throws(WireError) in
      let user = try r.string()
      guard Topic.isWellFormedID(user.utf8) else { throw .malformed("user id") }
      return user
    }
  }
}

/// The broadcast is in every recipient's log.
public struct Broadcasted: WireMessage, Equatable {
  public static let kind = FrameKind.broadcasted
  public var recipients: UInt32
  public var durability: Durability
  public var duplicate: Bool

  public init(recipients: UInt32, durability: Durability, duplicate: Bool) {
    self.recipients = recipients
    self.durability = durability
    self.duplicate = duplicate
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(recipients)
    writer.integer(durability.rawValue)
    writer.boolean(duplicate)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    recipients = try reader.integer()
    durability = try reader.durability()
    duplicate = try reader.boolean()
  }
}

/// Send what is appended to these topics from now on. Answered by ``Watched`` at a commit boundary: every ``Deliver``
/// above its head follows it.
public struct Watch: WireMessage, Equatable {
  public static let kind = FrameKind.watch
  public struct Entry: Sendable, Equatable {
    /// The gateway's name for the topic on this link; its high byte is the loop that watches.
    public var handle: UInt32
    public var topic: Topic
    /// Up to where this gateway has it; ``Position/none`` when it starts. Above the head it proves that the log was rewound.
    public var position: Position

    public init(handle: UInt32, topic: Topic, position: Position) {
      self.handle = handle
      self.topic = topic
      self.position = position
    }
  }
  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.integer($1.handle)
      $0.string($1.topic.name)
      $0.position($1.position)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list { (r: inout WireReader) throws(WireError) in
      Entry(handle: try r.integer(), topic: try r.topic(), position: try r.position())
    }
  }
}

/// Where one watched topic stands.
public struct Head: Sendable, Equatable {
  public var handle: UInt32
  /// Epoch and the last appended offset.
  public var position: Position
  /// Offsets up to and including this one were evicted by the topic's bounds.
  public var floor: UInt64

  public init(handle: UInt32, position: Position, floor: UInt64) {
    self.handle = handle
    self.position = position
    self.floor = floor
  }
}

/// Answers ``Watch``.
public struct Watched: WireMessage, Equatable {
  public static let kind = FrameKind.watched
  public var heads: [Head]
  public init(heads: [Head]) { self.heads = heads }
  public func encode(into writer: inout WireWriter) { writer.heads(heads) }
  public init(from reader: inout WireReader) throws(WireError) { heads = try reader.heads() }
}

/// Delivers of these topics were dropped because the link was full; here is where they stand now.
public struct Lagged: WireMessage, Equatable {
  public static let kind = FrameKind.lagged
  public var heads: [Head]
  public init(heads: [Head]) { self.heads = heads }
  public func encode(into writer: inout WireWriter) { writer.heads(heads) }
  public init(from reader: inout WireReader) throws(WireError) { heads = try reader.heads() }
}

/// Send no more of these. Answered by ``Unwatched``, after which the handles may be used anew.
public struct Unwatch: WireMessage, Equatable {
  public static let kind = FrameKind.unwatch
  public var handles: [UInt32]
  public init(handles: [UInt32]) { self.handles = handles }
  public func encode(into writer: inout WireWriter) { writer.list(handles) { $0.integer($1) } }
  public init(from reader: inout WireReader) throws(WireError) {
    handles = try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
  }
}

/// Answers ``Unwatch``: the last word about these handles.
public struct Unwatched: WireMessage, Equatable {
  public static let kind = FrameKind.unwatched
  public var handles: [UInt32]
  public init(handles: [UInt32]) { self.handles = handles }
  public func encode(into writer: inout WireWriter) { writer.list(handles) { $0.integer($1) } }
  public init(from reader: inout WireReader) throws(WireError) {
    handles = try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
  }
}

extension WireWriter {
  mutating func heads(_ heads: [Head]) {
    list(heads) {
      $0.integer($1.handle)
      $0.position($1.position)
      $0.integer($1.floor)
    }
  }
}

extension WireReader {
  mutating func heads() throws(WireError) -> [Head] {
    try list { (r: inout WireReader) throws(WireError) in
      Head(handle: try r.integer(), position: try r.position(), floor: try r.integer())
    }
  }
  mutating func durability() throws(WireError) -> Durability {
    guard let value = Durability(rawValue: try integer()) else { throw .malformed("durability") }
    return value
  }
  mutating func platform() throws(WireError) -> Platform {
    guard let value = Platform(rawValue: try integer()) else { throw .malformed("platform") }
    return value
  }
  /// The same, or empty.
  mutating func identifierOrNone() throws(WireError) -> String {
    let value = try string()
    guard value.isEmpty || Topic.isWellFormedID(value.utf8) else { throw .malformed("identifier") }
    return value
  }
  /// A user's, device's or connection's id.
  mutating func identifier() throws(WireError) -> String {
    let value = try string()
    guard Topic.isWellFormedID(value.utf8) else { throw .malformed("identifier") }
    return value
  }
}
