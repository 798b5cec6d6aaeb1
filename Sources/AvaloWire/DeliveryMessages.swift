import AvaloCore

// What is written to subscribers: `Deliver` as it is committed, `Read` for those who are behind, `Acknowledge` back.

/// One committed event for every watched topic it was appended to. A view: it borrows the frame's bytes.
///
/// Body: u32 record bytes, record, u32 targets, then per target u32 handle, u64 offset.
public struct Deliver {
  public struct Target: Equatable, Sendable {
    public var handle: UInt32
    public var offset: UInt64

    public init(handle: UInt32, offset: UInt64) {
      self.handle = handle
      self.offset = offset
    }
  }
  public static let kind = FrameKind.deliver
  public let record: EventRecord
  public let targetCount: Int
  @usableFromInline let targetBytes: UnsafeRawBufferPointer

  public init(body: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(body)
    record = try reader.record()
    targetCount = Int(try reader.integer(UInt32.self))
    guard targetCount <= WireLimits.batchEntriesMax else { throw .malformed("\(targetCount) targets") }
    targetBytes = try reader.bytes(targetCount * 12)
    try reader.finish()
  }

  @inline(__always) public func target(_ index: Int) -> Target {
    precondition(index >= 0 && index < targetCount)
    return Target(
      handle: UInt32(littleEndian: targetBytes.loadUnaligned(fromByteOffset: index * 12, as: UInt32.self)),
      offset: UInt64(littleEndian: targetBytes.loadUnaligned(fromByteOffset: index * 12 + 4, as: UInt64.self)))
  }

  /// Appends one frame. `targets` has at most ``WireLimits/batchEntriesMax`` entries.
  public static func write(
    record: some Collection<UInt8>, targets: some Collection<Target>, into writer: inout WireWriter
  ) {
    writer.frame(kind) {
      $0.blob(record)
      $0.integer(UInt32(targets.count))
      for target in targets {
        $0.integer(target.handle)
        $0.integer(target.offset)
      }
    }
  }
}

/// Asks for the events after `after`, up to and including `upTo`. Answered by ``ReadResult`` or ``Failed``
/// (FAILED_PRECONDITION when the topic's epoch is another).
public struct Read: WireMessage, Equatable {
  public static let kind = FrameKind.read
  public var topic: Topic
  public var epoch: Epoch
  public var after: UInt64
  public var upTo: UInt64
  /// The page's bound: rows stop after the first that reaches it.
  public var bytesMax: UInt32

  public init(topic: Topic, epoch: Epoch, after: UInt64, upTo: UInt64, bytesMax: UInt32) {
    self.topic = topic
    self.epoch = epoch
    self.after = after
    self.upTo = upTo
    self.bytesMax = bytesMax
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(topic.name)
    writer.integer(epoch.rawValue)
    writer.integer(after)
    writer.integer(upTo)
    writer.integer(bytesMax)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    topic = try reader.topic()
    epoch = Epoch(rawValue: try reader.integer())
    after = try reader.integer()
    upTo = try reader.integer()
    bytesMax = try reader.integer()
  }
}

/// One page of a topic's log. Offsets up to `through` that are not among the rows are holes: evicted up to `floor`,
/// expired above it. A view: it borrows the frame's bytes.
///
/// Body: u64 epoch, u64 floor, u64 through, u32 rows, then per row u64 offset, u32 record bytes, record.
public struct ReadResult {
  public static let kind = FrameKind.readResult
  public let epoch: Epoch
  public let floor: UInt64
  public let through: UInt64
  public let rowCount: Int
  private let rowBytes: UnsafeRawBufferPointer

  public init(body: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(body)
    epoch = Epoch(rawValue: try reader.integer())
    floor = try reader.integer()
    through = try reader.integer()
    rowCount = Int(try reader.integer(UInt32.self))
    rowBytes = reader.rest
    var previous: UInt64 = 0
    for _ in 0..<rowCount {
      let offset: UInt64 = try reader.integer()
      guard offset > previous, offset <= through else { throw .malformed("row \(offset) after \(previous)") }
      previous = offset
      _ = try reader.record()
    }
    try reader.finish()
  }

  /// Calls `body` with each row, in order.
  public func forEachRow(_ body: (UInt64, EventRecord) -> Void) {
    var reader = WireReader(rowBytes)
    for _ in 0..<rowCount {
      guard let offset = try? reader.integer(UInt64.self), let record = try? reader.record() else {
        preconditionFailure("rows were checked when the page was read")
      }
      body(offset, record)
    }
  }

  /// Appends one frame.
  public static func write(
    epoch: Epoch, floor: UInt64, through: UInt64, rows: [(offset: UInt64, record: [UInt8])], correlation: UInt32,
    into writer: inout WireWriter
  ) {
    writer.frame(kind, correlation: correlation) {
      $0.integer(epoch.rawValue)
      $0.integer(floor)
      $0.integer(through)
      $0.list(rows) {
        $0.integer($1.offset)
        $0.blob($1.record)
      }
    }
  }
}

/// Sessions have processed everything up to these positions. Not answered.
public struct Acknowledge: WireMessage, Equatable {
  public static let kind = FrameKind.acknowledge
  public struct Entry: Sendable, Equatable {
    public var session: UInt64
    public var handle: UInt32
    public var position: Position

    public init(session: UInt64, handle: UInt32, position: Position) {
      self.session = session
      self.handle = handle
      self.position = position
    }
  }
  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.integer($1.session)
      $0.integer($1.handle)
      $0.position($1.position)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list { (r: inout WireReader) throws(WireError) in
      Entry(session: try r.integer(), handle: try r.integer(), position: try r.position())
    }
  }
}
