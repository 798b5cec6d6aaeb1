/// The keys seen in the open objects of the outer two levels, to find one that is there twice.
///
/// Few keys are compared with each other where they lie; from ``linearMax`` on an object's keys go into a set, so that
/// a text made of keys costs no quadratic time.
struct KeyTable {
  /// A key between its quotes.
  struct Span {
    var start: Int
    var count: Int
    var escaped: Bool
  }

  static let levels = 2
  static let linearMax = 32
  static let scratchCount = levels * linearMax

  private let bytes: UnsafePointer<UInt8>
  private let scratch: UnsafeMutableBufferPointer<Span>
  private var counts = (0, 0)
  private var wide: (Set<String>, Set<String>) = ([], [])

  init(_ bytes: UnsafePointer<UInt8>, _ scratch: UnsafeMutableBufferPointer<Span>) {
    precondition(scratch.count >= KeyTable.scratchCount)
    self.bytes = bytes
    self.scratch = scratch
  }

  /// An object begins at `level`, from 1.
  mutating func open(level: Int) {
    switch level {
    case 1: counts.0 = 0
    case 2:
      counts.1 = 0
      if !wide.1.isEmpty { wide.1 = [] }
    default: break
    }
  }

  /// False when the open object of that level has the key already.
  @inline(__always) mutating func insert(_ key: Span, level: Int) -> Bool {
    switch level {
    case 1: insert(key, from: 0, count: &counts.0, wide: &wide.0)
    case 2: insert(key, from: KeyTable.linearMax, count: &counts.1, wide: &wide.1)
    default: true
    }
  }

  private func insert(_ key: Span, from: Int, count: inout Int, wide: inout Set<String>) -> Bool {
    if count < KeyTable.linearMax {
      for place in from..<(from + count) where isEqual(scratch[place], key) { return false }
      // Trivial memory, uninitialised until now: `initialize` is what may write to it.
      scratch.baseAddress!.advanced(by: from + count).initialize(to: key)
      count += 1
      return true
    }
    if wide.isEmpty {
      for place in from..<(from + count) { wide.insert(text(scratch[place])) }
    }
    return wide.insert(text(key)).inserted
  }

  private func isEqual(_ a: Span, _ b: Span) -> Bool {
    if a.escaped || b.escaped { return text(a) == text(b) }
    guard a.count == b.count else { return false }
    for place in 0..<a.count where bytes[a.start + place] != bytes[b.start + place] { return false }
    return true
  }

  private func text(_ key: Span) -> String {
    JSONView.unescaped(UnsafeBufferPointer(start: bytes + key.start, count: key.count))
  }
}
