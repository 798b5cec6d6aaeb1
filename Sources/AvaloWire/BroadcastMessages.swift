import AvaloCore

// Broadcasts to more users than one transaction takes: their recipients come in parts, and are served in the background.

/// Begin a broadcast whose recipients follow as ``BroadcastPart``s. Answered by ``BroadcastBegun`` or ``Failed``.
public struct BeginBroadcast: WireRequest, Equatable {
  public typealias Answer = BroadcastBegun
  public static let kind = FrameKind.beginBroadcast
  public var owner: String
  /// Which call this is: the parts of another one are not taken any more once it has begun.
  public var attempt: UInt64
  /// Over the event and all recipients.
  public var contentHash: UInt64
  /// An ``EventRecord``, stored once.
  public var record: [UInt8]
  /// How many will follow: above ``Limits/broadcastRecipientsMax``, at most ``Limits/broadcastJobRecipientsMax``.
  public var recipients: UInt32

  public init(owner: String, attempt: UInt64, contentHash: UInt64, record: [UInt8], recipients: UInt32) {
    self.owner = owner
    self.attempt = attempt
    self.contentHash = contentHash
    self.record = record
    self.recipients = recipients
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(owner)
    writer.integer(attempt)
    writer.integer(contentHash)
    writer.blob(record)
    writer.integer(recipients)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    owner = try reader.string()
    attempt = try reader.integer()
    contentHash = try reader.integer()
    record = Array(try reader.record().bytes)
    recipients = try reader.integer()
    guard recipients > Limits.broadcastRecipientsMax, recipients <= Limits.broadcastJobRecipientsMax else {
      throw .malformed("a broadcast to \(recipients)")
    }
  }
}

/// Answers ``BeginBroadcast``: the parts may follow, or nothing is to follow because all of it is known.
public struct BroadcastBegun: WireMessage, Equatable {
  public static let kind = FrameKind.broadcastBegun
  /// The broadcast's name: the same for one owner and event id.
  public var broadcast: UInt64
  public var durability: Durability
  /// It was accepted before; no part is taken.
  public var duplicate: Bool

  public init(broadcast: UInt64, durability: Durability, duplicate: Bool) {
    self.broadcast = broadcast
    self.durability = durability
    self.duplicate = duplicate
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(broadcast)
    writer.integer(durability.rawValue)
    writer.boolean(duplicate)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    broadcast = try reader.integer()
    durability = try reader.durability()
    duplicate = try reader.boolean()
  }
}

/// Some of a broadcast's recipients. With the last of them it is accepted. Answered by ``BroadcastPartTaken`` or
/// ``Failed``; ABORTED when another call has begun it anew, or when it was given up.
public struct BroadcastPart: WireRequest, Equatable {
  public typealias Answer = BroadcastPartTaken
  public static let kind = FrameKind.broadcastPart
  public var broadcast: UInt64
  public var attempt: UInt64
  /// How many recipients came before: parts come one after the other.
  public var first: UInt32
  /// User ids, each once in the whole broadcast, at most ``Limits/broadcastRecipientsMax``.
  public var recipients: [String]

  public init(broadcast: UInt64, attempt: UInt64, first: UInt32, recipients: [String]) {
    self.broadcast = broadcast
    self.attempt = attempt
    self.first = first
    self.recipients = recipients
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(broadcast)
    writer.integer(attempt)
    writer.integer(first)
    writer.list(recipients) { $0.string($1) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    broadcast = try reader.integer()
    attempt = try reader.integer()
    first = try reader.integer()
    recipients = try reader.list(max: Limits.broadcastRecipientsMax) { (r: inout WireReader) throws(WireError) in
      try r.identifier()
    }
  }
}

/// Answers ``BroadcastPart``: it is in the log.
public struct BroadcastPartTaken: WireMessage, Equatable {
  public static let kind = FrameKind.broadcastPartTaken
  /// How many recipients are there now.
  public var received: UInt32

  public init(received: UInt32) { self.received = received }
  public func encode(into writer: inout WireWriter) { writer.integer(received) }
  public init(from reader: inout WireReader) throws(WireError) { received = try reader.integer() }
}

/// How far is a broadcast? Answered by ``BroadcastStatus``, or ``Failed`` NOT_FOUND.
public struct BroadcastQuery: WireRequest, Equatable {
  public typealias Answer = BroadcastStatus
  public static let kind = FrameKind.broadcastQuery
  /// Who asks: of others' broadcasts nothing is said.
  public var owner: String
  public var broadcast: UInt64

  public init(owner: String, broadcast: UInt64) {
    self.owner = owner
    self.broadcast = broadcast
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(owner)
    writer.integer(broadcast)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    owner = try reader.string()
    broadcast = try reader.integer()
  }
}

/// Answers ``BroadcastQuery``.
public struct BroadcastStatus: WireMessage, Equatable {
  public static let kind = FrameKind.broadcastStatus
  public var eventID: String
  public var recipients: UInt32
  /// Users whose inbox has it.
  public var done: UInt32
  /// Users who were not reached before the event's time was over.
  public var failed: UInt32
  /// Milliseconds since 1970 when it was accepted.
  public var startedMilliseconds: Int64
  /// Milliseconds since 1970; 0 while it is under way.
  public var finishedMilliseconds: Int64

  public init(
    eventID: String, recipients: UInt32, done: UInt32, failed: UInt32, startedMilliseconds: Int64,
    finishedMilliseconds: Int64
  ) {
    self.eventID = eventID
    self.recipients = recipients
    self.done = done
    self.failed = failed
    self.startedMilliseconds = startedMilliseconds
    self.finishedMilliseconds = finishedMilliseconds
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(eventID)
    writer.integer(recipients)
    writer.integer(done)
    writer.integer(failed)
    writer.integer(startedMilliseconds)
    writer.integer(finishedMilliseconds)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    eventID = try reader.string()
    recipients = try reader.integer()
    done = try reader.integer()
    failed = try reader.integer()
    startedMilliseconds = try reader.integer()
    finishedMilliseconds = try reader.integer()
  }
}
