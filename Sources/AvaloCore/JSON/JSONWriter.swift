/// Appends JSON to a run of bytes. Commas take care of themselves; that brackets and keys make sense is the caller's.
///
///     var json = JSONWriter()
///     json.object {
///       $0.member("topic", "user:u")
///       $0.member("offset", 18)
///       $0.key("payload")
///       $0.raw(payload)
///     }
public struct JSONWriter: Sendable {
  public private(set) var bytes: [UInt8]

  /// Goes on behind `bytes`: a value at their end is parted from what is written next by a comma.
  public init(_ bytes: [UInt8] = []) { self.bytes = bytes }

  public init(capacity: Int) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  /// Gives the bytes away and starts empty.
  public mutating func take() -> [UInt8] {
    let taken = bytes
    bytes = []
    return taken
  }

  /// Starts empty, keeping the memory for what is written next.
  public mutating func clear() { bytes.removeAll(keepingCapacity: true) }

  // MARK: Containers

  @inlinable public mutating func object<Failure: Error>(
    _ members: (inout JSONWriter) throws(Failure) -> Void
  ) throws(Failure) {
    open(UInt8(ascii: "{"))
    try members(&self)
    close(UInt8(ascii: "}"))
  }

  @inlinable public mutating func array<Failure: Error>(
    _ elements: (inout JSONWriter) throws(Failure) -> Void
  ) throws(Failure) {
    open(UInt8(ascii: "["))
    try elements(&self)
    close(UInt8(ascii: "]"))
  }

  /// Of the member whose value is written next. `name` needs no escapes.
  public mutating func key(_ name: StaticString) {
    comma()
    bytes.append(JSONBytes.quote)
    bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    bytes.append(JSONBytes.quote)
    bytes.append(UInt8(ascii: ":"))
  }

  /// Of the member whose value is written next.
  public mutating func key(_ name: String) {
    string(name)
    bytes.append(UInt8(ascii: ":"))
  }

  public mutating func member(_ name: StaticString, _ value: String) {
    key(name)
    string(value)
  }
  public mutating func member(_ name: StaticString, _ value: some FixedWidthInteger) {
    key(name)
    integer(value)
  }
  /// `value` is UTF-8.
  public mutating func member(_ name: StaticString, utf8 value: UnsafeRawBufferPointer) {
    key(name)
    string(utf8: value)
  }
  public mutating func member(_ name: StaticString, _ value: Bool) {
    key(name)
    boolean(value)
  }

  // MARK: Values

  public mutating func string(_ value: String) {
    var value = value
    value.withUTF8 { string(utf8: UnsafeRawBufferPointer($0)) }
  }

  /// A string of those characters, which are UTF-8.
  public mutating func string(utf8: UnsafeRawBufferPointer) {
    comma()
    bytes.append(JSONBytes.quote)
    if let start = utf8.baseAddress?.assumingMemoryBound(to: UInt8.self) { escape(start, utf8.count) }
    bytes.append(JSONBytes.quote)
  }

  public mutating func integer(_ value: some FixedWidthInteger) {
    comma()
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    let start = bytes.count
    var rest = UInt64(value.magnitude)
    repeat {
      bytes.append(UInt8(truncatingIfNeeded: rest % 10) + 0x30)
      rest /= 10
    } while rest != 0
    bytes[start...].reverse()
  }

  public mutating func boolean(_ value: Bool) { raw(value ? "true" : "false") }
  public mutating func null() { raw("null") }

  /// A value's text as it is.
  public mutating func raw(_ json: some Collection<UInt8>) {
    comma()
    bytes.append(contentsOf: json)
  }
  public mutating func raw(_ json: UnsafeRawBufferPointer) {
    comma()
    bytes.append(contentsOf: json)
  }
  public mutating func raw(_ json: StaticString) {
    comma()
    bytes.append(contentsOf: UnsafeBufferPointer(start: json.utf8Start, count: json.utf8CodeUnitCount))
  }

  // MARK: Pieces

  @usableFromInline mutating func open(_ bracket: UInt8) {
    comma()
    bytes.append(bracket)
  }
  @usableFromInline mutating func close(_ bracket: UInt8) { bytes.append(bracket) }

  /// The last byte tells whether a value ends there: a quote, a bracket, a digit, `true`, `false`, `null`.
  private mutating func comma() {
    guard let last = bytes.last else { return }
    switch last {
    case JSONBytes.quote, UInt8(ascii: "}"), UInt8(ascii: "]"), 0x30...0x39, UInt8(ascii: "e"), UInt8(ascii: "l"):
      bytes.append(UInt8(ascii: ","))
    default: break
    }
  }

  private mutating func escape(_ text: UnsafePointer<UInt8>, _ count: Int) {
    var from = 0
    var at = 0
    while at < count {
      if at + 8 <= count {
        let stops = JSONBytes.mustEscape(JSONBytes.word(text + at))
        if stops == 0 {
          at += 8
          continue
        }
        at += stops.trailingZeroBitCount >> 3
      }
      let byte = text[at]
      guard byte < 0x20 || byte == JSONBytes.quote || byte == JSONBytes.backslash else {
        at += 1
        continue
      }
      bytes.append(contentsOf: UnsafeBufferPointer(start: text + from, count: at - from))
      appendEscape(byte)
      at += 1
      from = at
    }
    bytes.append(contentsOf: UnsafeBufferPointer(start: text + from, count: count - from))
  }

  private mutating func appendEscape(_ byte: UInt8) {
    bytes.append(JSONBytes.backslash)
    switch byte {
    case 0x08: bytes.append(UInt8(ascii: "b"))
    case 0x09: bytes.append(UInt8(ascii: "t"))
    case 0x0A: bytes.append(UInt8(ascii: "n"))
    case 0x0C: bytes.append(UInt8(ascii: "f"))
    case 0x0D: bytes.append(UInt8(ascii: "r"))
    case JSONBytes.quote, JSONBytes.backslash: bytes.append(byte)
    default:
      bytes.append(contentsOf: "u00".utf8)
      bytes.append(byte < 0x10 ? 0x30 : 0x31)
      let low = byte & 15
      bytes.append(low < 10 ? 0x30 + low : 0x61 + low - 10)
    }
  }
}
