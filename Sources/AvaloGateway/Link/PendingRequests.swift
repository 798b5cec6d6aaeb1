import AvaloCore

/// Requests of the gateway's own that a worker has not answered, in the order they were made.
///
/// Those that may be asked twice (a publish: the log knows its event id) are kept as bytes and sent again, in order and
/// before anything new, when the link is made anew. A pure table: the link does the I/O and asks the clock.
struct PendingRequests<Answer> {
  struct Entry {
    var correlation: UInt32
    /// Empty for what may not be asked twice.
    var frame: [UInt8]
    var isRepeatable: Bool { !frame.isEmpty }
    var deadlineNanoseconds: UInt64
    var complete: (Result<Answer, CallError>) -> Void
  }

  let max: Int
  private var entries: [UInt32: Entry] = [:]
  private var next: UInt32 = 0

  init(max: Int) { self.max = max }

  var count: Int { entries.count }
  var isFull: Bool { entries.count >= max }

  /// The correlation for the next request: ascending, below 2^24 (the high byte is 0 for the gateway's own).
  mutating func nextCorrelation() -> UInt32 {
    repeat { next = (next + 1) & 0xFF_FFFF } while next == 0 || entries[next] != nil
    return next
  }

  mutating func insert(_ entry: Entry) { entries[entry.correlation] = entry }
  mutating func remove(_ correlation: UInt32) -> Entry? { entries.removeValue(forKey: correlation) }

  /// Takes out what has waited too long, oldest first.
  mutating func expired(nowNanoseconds: UInt64) -> [Entry] {
    let late = inOrder.filter { $0.deadlineNanoseconds <= nowNanoseconds }
    for entry in late { entries[entry.correlation] = nil }
    return late
  }

  /// Takes out what is not sent again.
  mutating func removeUnrepeatable() -> [Entry] {
    let lost = inOrder.filter { !$0.isRepeatable }
    for entry in lost { entries[entry.correlation] = nil }
    return lost
  }

  /// Takes out everything.
  mutating func removeAll() -> [Entry] {
    defer { entries = [:] }
    return inOrder
  }

  /// Oldest first. Correlations wrap only after 16 million requests, far beyond what may wait at a time.
  var inOrder: [Entry] {
    entries.values.sorted { ($0.correlation &- next &- 1) & 0xFF_FFFF < ($1.correlation &- next &- 1) & 0xFF_FFFF }
  }
}
