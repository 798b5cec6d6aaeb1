/// Checks UTF-8 that comes in pieces (RFC 3629; Unicode table 3-7): no overlong forms, no surrogates, nothing above
/// U+10FFFF. Fails at the first byte that cannot be part of any text, not at the end.
struct UTF8Validator {
  // Continuation bytes still due, and the range of the next one: narrower right after E0, ED, F0 and F4.
  private var due: UInt8 = 0
  private var low: UInt8 = 0x80
  private var high: UInt8 = 0xBF

  /// No character is half there.
  var isComplete: Bool { due == 0 }

  /// `false` when the bytes seen so far cannot begin a UTF-8 text.
  mutating func consume(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let start = bytes.baseAddress else { return true }
    let count = bytes.count
    var at = 0
    while at < count {
      if due == 0 {
        // Eight ASCII bytes at a time: what clients mostly send.
        while at &+ 8 <= count, start.loadUnaligned(fromByteOffset: at, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 {
          at &+= 8
        }
        if at == count { return true }
      }
      guard step(start.load(fromByteOffset: at, as: UInt8.self)) else { return false }
      at &+= 1
    }
    return true
  }

  private mutating func step(_ byte: UInt8) -> Bool {
    if due > 0 {
      guard byte >= low, byte <= high else { return false }
      due -= 1
      low = 0x80
      high = 0xBF
      return true
    }
    switch byte {
    case 0x00...0x7F: return true
    case 0xC2...0xDF: due = 1
    case 0xE0: (due, low) = (2, 0xA0)
    case 0xED: (due, high) = (2, 0x9F)
    case 0xE1...0xEF: due = 2
    case 0xF0: (due, low) = (3, 0x90)
    case 0xF1...0xF3: due = 3
    case 0xF4: (due, high) = (3, 0x8F)
    default: return false
    }
    return true
  }

  /// Whether the bytes are a UTF-8 text by themselves.
  static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var validator = UTF8Validator()
    return validator.consume(bytes) && validator.isComplete
  }
}
