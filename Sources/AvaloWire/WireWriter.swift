import AvaloCore

/// Builds frames one after the other in one run of bytes, so that all that is pending leaves in one write.
public struct WireWriter: Sendable {
  public private(set) var bytes: [UInt8] = []
  private var frameStart = 0

  public init() {}
  public var isEmpty: Bool { bytes.isEmpty }
  public var count: Int { bytes.count }

  /// Appends one frame whose body `body` writes.
  public mutating func frame(_ kind: FrameKind, correlation: UInt32 = 0, _ body: (inout WireWriter) -> Void) {
    let start = bytes.count
    bytes.appendInteger(UInt32(0))
    bytes.appendInteger(kind.rawValue)
    bytes.appendInteger(UInt16(0))
    bytes.appendInteger(correlation)
    body(&self)
    let length = bytes.count - start - Frame.headBytes
    precondition(length <= WireLimits.frameBodyBytesMax, "frame \(kind.rawValue) of \(length) bytes is over the bound")
    bytes.withUnsafeMutableBytes {
      $0.storeBytes(of: UInt32(length).littleEndian, toByteOffset: start, as: UInt32.self)
    }
  }

  /// Appends one frame with a message as its body.
  public mutating func frame(_ message: some WireMessage, correlation: UInt32 = 0) {
    frame(type(of: message).kind, correlation: correlation) { message.encode(into: &$0) }
  }

  public mutating func integer(_ value: some FixedWidthInteger) { bytes.appendInteger(value) }
  public mutating func boolean(_ value: Bool) { bytes.append(value ? 1 : 0) }
  /// u16 length, then UTF-8.
  public mutating func string(_ value: String) {
    precondition(value.utf8.count <= Int(UInt16.max), "a wire string of \(value.utf8.count) bytes")
    bytes.appendInteger(UInt16(value.utf8.count))
    bytes.append(contentsOf: value.utf8)
  }
  /// u32 length, then the bytes.
  public mutating func blob(_ value: some Collection<UInt8>) {
    bytes.appendInteger(UInt32(value.count))
    bytes.append(contentsOf: value)
  }
  public mutating func position(_ value: Position) {
    bytes.appendInteger(value.epoch.rawValue)
    bytes.appendInteger(value.offset)
  }
  /// u32 count, then each.
  public mutating func list<Element>(_ elements: [Element], _ one: (inout WireWriter, Element) -> Void) {
    bytes.appendInteger(UInt32(elements.count))
    for element in elements { one(&self, element) }
  }

  /// Gives the bytes away and starts empty, keeping nothing.
  public mutating func take() -> [UInt8] {
    let taken = bytes
    bytes = []
    return taken
  }
}

/// Reads one frame's body where it lies. Every read checks its bounds; ``finish()`` checks that nothing is left.
public struct WireReader {
  @usableFromInline var rest: UnsafeRawBufferPointer

  public init(_ body: UnsafeRawBufferPointer) { rest = body }
  public var remaining: Int { rest.count }

  @inlinable public mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(WireError)
    -> Value
  {
    let width = MemoryLayout<Value>.size
    guard rest.count >= width else { throw .truncated }
    let value = Value(littleEndian: rest.loadUnaligned(as: Value.self))
    rest = UnsafeRawBufferPointer(rebasing: rest[width...])
    return value
  }
  public mutating func boolean() throws(WireError) -> Bool {
    switch try integer(UInt8.self) {
    case 0: false
    case 1: true
    default: throw .malformed("boolean")
    }
  }
  /// The next `count` bytes, borrowed.
  @inlinable public mutating func bytes(_ count: Int) throws(WireError) -> UnsafeRawBufferPointer {
    guard count >= 0, rest.count >= count else { throw .truncated }
    let taken = UnsafeRawBufferPointer(rebasing: rest[..<count])
    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    return taken
  }
  public mutating func string() throws(WireError) -> String {
    let raw = try bytes(Int(integer(UInt16.self)))
    guard let value = String(validating: raw, as: UTF8.self) else { throw .malformed("text is not UTF-8") }
    return value
  }
  /// A length-prefixed run of bytes, borrowed.
  @inlinable public mutating func blob() throws(WireError) -> UnsafeRawBufferPointer {
    try bytes(Int(integer(UInt32.self)))
  }
  public mutating func topic() throws(WireError) -> Topic {
    guard let topic = Topic(try string()) else { throw .malformed("topic") }
    return topic
  }
  public mutating func position() throws(WireError) -> Position {
    Position(epoch: Epoch(rawValue: try integer()), offset: try integer())
  }
  /// A record, checked, borrowed.
  public mutating func record() throws(WireError) -> EventRecord {
    guard let record = EventRecord(try blob()) else { throw .malformed("event record") }
    return record
  }
  public mutating func list<Element>(
    max: Int = WireLimits.batchEntriesMax, _ one: (inout WireReader) throws(WireError) -> Element
  ) throws(WireError) -> [Element] {
    let count = Int(try integer(UInt32.self))
    // An element takes at least one byte: a count beyond what has arrived allocates nothing.
    guard count <= max, count <= rest.count else { throw .malformed("list of \(count)") }
    var elements: [Element] = []
    elements.reserveCapacity(count)
    for _ in 0..<count { elements.append(try one(&self)) }
    return elements
  }
  public func finish() throws(WireError) {
    guard rest.isEmpty else { throw .trailingBytes(rest.count) }
  }
}

/// A message with one kind and one shape.
public protocol WireMessage: Sendable {
  static var kind: FrameKind { get }
  func encode(into writer: inout WireWriter)
  init(from reader: inout WireReader) throws(WireError)
}

/// A message that is answered, on its correlation, by one of a kind, or by ``Failed``.
public protocol WireRequest: WireMessage {
  associatedtype Answer: WireMessage
}

extension WireMessage {
  /// Reads exactly one message from a frame's body.
  public init(body: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(body)
    self = try Self(from: &reader)
    try reader.finish()
  }
}
