/// Numbers that never come twice, over all lives of this process: versions of what watchers are shown, and the order in
/// which statuses were said. Each life begins above what the one before had reserved in the file.
struct VersionCounter {
  private(set) var last: UInt64
  /// Up to here the file says that numbers may be used.
  private(set) var reserved: UInt64
  /// A reservation that is on its way to the file.
  private var asked: UInt64?

  /// - `reserved`: already in the file.
  init(after last: UInt64, reserved: UInt64) {
    precondition(last < reserved, "nothing is reserved after \(last)")
    self.last = last
    self.reserved = reserved
  }

  mutating func next() -> UInt64 {
    last += 1
    return last
  }

  /// The file should learn of more: half of what it says is used.
  var needsReserve: Bool { asked == nil && last + PresenceLimits.versionsReserved / 2 > reserved }

  mutating func takeReserve() -> UInt64? {
    guard needsReserve else { return nil }
    asked = last + PresenceLimits.versionsReserved
    return asked
  }

  mutating func reserveEnded(written: Bool) {
    if written, let asked { reserved = asked }
    asked = nil
  }
}
