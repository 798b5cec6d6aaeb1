import Crypto

/// A fingerprint of what a publisher said: SHA-256 over the parts, each with its length, of which 64 bits are kept.
/// It travels to the log and is compared years and versions later: what goes in, and in which order, must not change.
struct ContentHash {
  private var hash = SHA256()

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    add(Int64(bytes.count))
    hash.update(bufferPointer: bytes)
  }

  mutating func add(_ text: String) {
    var text = text
    text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
  }

  /// Absent is something else than empty.
  mutating func add(_ text: String?) {
    guard let text else { return add(Int64(-1)) }
    add(text)
  }

  mutating func add(_ number: Int64) {
    withUnsafeBytes(of: number.littleEndian) { hash.update(bufferPointer: $0) }
  }

  mutating func add(_ number: Int64?) {
    add(number == nil ? Int64(0) : 1)
    if let number { add(number) }
  }

  func value() -> UInt64 {
    hash.finalize().withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
  }
}
