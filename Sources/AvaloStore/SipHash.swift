/// SipHash-2-4, a keyed hash for short inputs: without the key nobody can construct two that collide.
///
/// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012).
public struct SipHash: Sendable {
  /// 128 random bits.
  public struct Key: Sendable, Equatable {
    public var low: UInt64
    public var high: UInt64

    public init(low: UInt64, high: UInt64) {
      self.low = low
      self.high = high
    }

    public static func random(using generator: inout some RandomNumberGenerator) -> Key {
      Key(low: generator.next(), high: generator.next())
    }
  }

  private var v0: UInt64
  private var v1: UInt64
  private var v2: UInt64
  private var v3: UInt64
  private var tail: UInt64 = 0
  private var count: UInt64 = 0

  public init(key: Key) {
    v0 = 0x736f_6d65_7073_6575 ^ key.low
    v1 = 0x646f_7261_6e64_6f6d ^ key.high
    v2 = 0x6c79_6765_6e65_7261 ^ key.low
    v3 = 0x7465_6462_7974_6573 ^ key.high
  }

  public mutating func combine(_ bytes: UnsafeRawBufferPointer) {
    var next = 0
    while next < bytes.count, count & 7 != 0 {
      add(bytes[next])
      next += 1
    }
    while next + 8 <= bytes.count {
      compress(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: next, as: UInt64.self)))
      count &+= 8
      next += 8
    }
    while next < bytes.count {
      add(bytes[next])
      next += 1
    }
  }

  /// The text's length, then its bytes: two texts in a row never run into each other.
  public mutating func combine(_ text: String) {
    var text = text
    text.withUTF8 {
      combine(UInt32($0.count))
      combine(UnsafeRawBufferPointer($0))
    }
  }

  public mutating func combine(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { combine($0) }
  }

  public consuming func finalize() -> UInt64 {
    compress(tail | count << 56)
    v2 ^= 0xff
    for _ in 0..<4 { round() }
    return v0 ^ v1 ^ v2 ^ v3
  }

  @inline(__always) private mutating func add(_ byte: UInt8) {
    tail |= UInt64(byte) << (8 * (count & 7))
    count &+= 1
    if count & 7 == 0 {
      compress(tail)
      tail = 0
    }
  }

  @inline(__always) private mutating func compress(_ word: UInt64) {
    v3 ^= word
    round()
    round()
    v0 ^= word
  }

  @inline(__always) private mutating func round() {
    v0 = v0 &+ v1
    v2 = v2 &+ v3
    v1 = rotate(v1, 13) ^ v0
    v3 = rotate(v3, 16) ^ v2
    v0 = rotate(v0, 32)
    v2 = v2 &+ v1
    v0 = v0 &+ v3
    v1 = rotate(v1, 17) ^ v2
    v3 = rotate(v3, 21) ^ v0
    v2 = rotate(v2, 32)
  }

  @inline(__always) private func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 {
    value << bits | value >> (64 - bits)
  }
}
