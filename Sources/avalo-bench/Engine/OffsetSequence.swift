/// Checks that the offsets of one topic come to one client as 1, 2, 3 …: nothing missing, nothing twice, nothing late.
///
/// Sixteen bytes of state and a comparison per event as long as all goes well; the last 64 offsets are remembered, so
/// that one which comes late can be told from one which comes twice.
struct OffsetSequence {
  /// The highest offset seen; 0 before the first.
  private(set) var last: UInt64 = 0
  /// Bit k is set when `last - k` was seen.
  private var seen: UInt64 = .max
  /// Offsets below `last` that have not come.
  private(set) var missing: UInt64 = 0
  private(set) var duplicates: UInt64 = 0
  private(set) var reordered: UInt64 = 0
  /// Offsets the server said would not come (`gap`, `skipped`).
  private(set) var told: UInt64 = 0

  /// A reader that has everything up to `offset`.
  init(after offset: UInt64 = 0) { last = offset }

  /// Takes an event; false when it has come before.
  @discardableResult
  @inline(__always) mutating func accept(_ offset: UInt64) -> Bool {
    guard offset == last &+ 1 else { return acceptOutOfTurn(offset) }
    last = offset
    seen = seen << 1 | 1
    return true
  }

  /// The server says that `from ... through` will not come.
  mutating func tell(from: UInt64, through: UInt64) {
    guard through > last, from <= last + 1, from <= through else { return }
    told += through - last
    seen = .max
    last = through
  }

  /// The server says that everything up to `head` has been written.
  mutating func reach(_ head: UInt64) {
    guard head > last else { return }
    missing += head - last
    seen = shifted(by: head - last)
    last = head
  }

  private mutating func acceptOutOfTurn(_ offset: UInt64) -> Bool {
    if offset > last {
      missing += offset - last - 1
      seen = shifted(by: offset - last) | 1
      last = offset
      return true
    }
    let age = last - offset
    guard age < 64, seen >> age & 1 == 0 else {
      duplicates += 1
      return false
    }
    seen |= 1 << age
    missing -= 1
    reordered += 1
    return true
  }

  private func shifted(by places: UInt64) -> UInt64 { places < 64 ? seen << places : 0 }
}
