import AvaloCore

// Following the log over all its topics, in the order of its sequence: `Follow` once a link, then `ReadFollowed` page by
// page, `AcknowledgeFollowed` for what is done. `FollowedGrew` says when it is worth reading on.

/// Keeps events of these types for a follower of this name from now on, until they are acknowledged; and tells this link
/// when there are more. The name is remembered: whoever follows under it again goes on where it was. Answered, after the
/// commit, by ``Following`` or ``Failed``.
public struct Follow: WireRequest, Equatable {
  public typealias Answer = Following
  public static let kind = FrameKind.follow
  public var name: String
  /// A bit for each type's code. What was appended before, of a type that was not asked for then, does not come.
  public var types: EventTypes

  public init(name: String, types: EventTypes) {
    self.name = name
    self.types = types
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(name)
    writer.integer(types.rawValue)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    name = try reader.identifier()
    types = EventTypes(rawValue: try reader.integer())
  }
}

/// Answers ``Follow``.
public struct Following: WireMessage, Equatable {
  public static let kind = FrameKind.following
  /// The log's generation: under another one a sequence may name another event.
  public var generation: UInt32
  /// Where to read on.
  public var acknowledged: UInt64
  /// Events dropped since the follower is known, because too many waited for it.
  public var missed: UInt64

  public init(generation: UInt32, acknowledged: UInt64, missed: UInt64) {
    self.generation = generation
    self.acknowledged = acknowledged
    self.missed = missed
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(generation)
    writer.integer(acknowledged)
    writer.integer(missed)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    generation = try reader.integer()
    acknowledged = try reader.integer()
    missed = try reader.integer()
  }
}

/// Asks for followed events of these types beyond a sequence. Answered by ``FollowedPage``, an empty one when there are
/// none, or ``Failed``.
public struct ReadFollowed: WireMessage, Equatable {
  public static let kind = FrameKind.readFollowed
  public var types: EventTypes
  public var after: UInt64
  /// The page's bound: rows stop after the first that reaches it.
  public var bytesMax: UInt32

  public init(types: EventTypes, after: UInt64, bytesMax: UInt32) {
    self.types = types
    self.after = after
    self.bytesMax = bytesMax
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(types.rawValue)
    writer.integer(after)
    writer.integer(bytesMax)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    types = EventTypes(rawValue: try reader.integer())
    after = try reader.integer()
    bytesMax = try reader.integer()
  }
}

/// A page of followed events, oldest first. Everything asked for up to and including `through` is here or gone.
public struct FollowedPage: WireMessage, Equatable {
  public static let kind = FrameKind.followedPage
  public struct Row: Sendable, Equatable {
    public var sequence: UInt64
    public var topic: Topic
    public var offset: UInt64
    /// An ``EventRecord``.
    public var record: [UInt8]

    public init(sequence: UInt64, topic: Topic, offset: UInt64, record: [UInt8]) {
      self.sequence = sequence
      self.topic = topic
      self.offset = offset
      self.record = record
    }
  }
  public var through: UInt64
  /// Events that expired, were evicted or erased before they were read.
  public var gone: UInt32
  public var rows: [Row]

  public init(through: UInt64, gone: UInt32, rows: [Row]) {
    self.through = through
    self.gone = gone
    self.rows = rows
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(through)
    writer.integer(gone)
    writer.list(rows) {
      $0.integer($1.sequence)
      $0.string($1.topic.name)
      $0.integer($1.offset)
      $0.blob($1.record)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    through = try reader.integer()
    gone = try reader.integer()
    rows = try reader.list { (r: inout WireReader) throws(WireError) in
      Row(
        sequence: try r.integer(), topic: try r.topic(), offset: try r.integer(), record: Array(try r.record().bytes))
    }
  }
}

/// The link's follower is done with everything up to and including this sequence. Not answered.
public struct AcknowledgeFollowed: WireMessage, Equatable {
  public static let kind = FrameKind.acknowledgeFollowed
  public var sequence: UInt64

  public init(sequence: UInt64) { self.sequence = sequence }

  public func encode(into writer: inout WireWriter) { writer.integer(sequence) }
  public init(from reader: inout WireReader) throws(WireError) { sequence = try reader.integer() }
}

/// Events that the link's follower asked for were committed, the last at or before this sequence.
public struct FollowedGrew: WireMessage, Equatable {
  public static let kind = FrameKind.followedGrew
  public var sequence: UInt64
  /// As in ``Following/missed``.
  public var missed: UInt64

  public init(sequence: UInt64, missed: UInt64) {
    self.sequence = sequence
    self.missed = missed
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(sequence)
    writer.integer(missed)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    sequence = try reader.integer()
    missed = try reader.integer()
  }
}

/// An inbox is being erased up to there: what a follower has read of it and not done yet is nobody's any more. Told behind
/// the commit that decides it; who was not linked then reads anew what is left.
public struct FollowedErased: WireMessage, Equatable {
  public static let kind = FrameKind.followedErased
  public var topic: Topic
  public var upTo: UInt64

  public init(topic: Topic, upTo: UInt64) {
    self.topic = topic
    self.upTo = upTo
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(topic.name)
    writer.integer(upTo)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    topic = try reader.topic()
    upTo = try reader.integer()
  }
}
