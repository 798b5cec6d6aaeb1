/// Eight bytes at a time: finds the bytes at which a run of plain characters stops.
///
/// Each function answers a mask whose lowest set bit belongs to the first byte sought (the higher bits may be wrong: a
/// borrow runs upwards only), so `trailingZeroBitCount / 8` is how many bytes come before it.
enum JSONBytes {
  static let quote = UInt8(ascii: "\"")
  static let backslash = UInt8(ascii: "\\")

  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let highs: UInt64 = 0x8080_8080_8080_8080

  /// Quotes and backslashes.
  @inline(__always) static func ends(_ word: UInt64) -> UInt64 {
    let quotes = word ^ (ones &* UInt64(quote))
    let backslashes = word ^ (ones &* UInt64(backslash))
    return ((quotes &- ones) & ~quotes | (backslashes &- ones) & ~backslashes) & highs
  }

  /// Quotes, backslashes, and control characters, which a string may hold only escaped.
  @inline(__always) static func mustEscape(_ word: UInt64) -> UInt64 {
    ends(word) | (word &- ones &* 0x20) & ~word & highs
  }

  /// What ``mustEscape(_:)`` finds, and bytes outside of ASCII.
  @inline(__always) static func notPlain(_ word: UInt64) -> UInt64 { mustEscape(word) | word & highs }

  /// Little-endian, so that the first byte is the lowest.
  @inline(__always) static func word(_ bytes: UnsafePointer<UInt8>) -> UInt64 {
    UInt64(littleEndian: UnsafeRawPointer(bytes).loadUnaligned(as: UInt64.self))
  }

  @inline(__always) static func isWhitespace(_ byte: UInt8) -> Bool {
    byte <= 0x20 && (byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09)
  }

  @inline(__always) static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

  /// The value of a hexadecimal digit.
  @inline(__always) static func hexadecimal(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 0x30...0x39: UInt32(byte - 0x30)
    case 0x41...0x46: UInt32(byte - 0x41 + 10)
    case 0x61...0x66: UInt32(byte - 0x61 + 10)
    default: nil
    }
  }
}
