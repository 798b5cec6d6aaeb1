/// Committed changes of access whose callers wait until every gateway has them in force. Pure: it is told of links and
/// time, and decides who is answered and who is too late.
struct AccessConfirmations<Caller> {
  struct Entry {
    var position: UInt64
    /// Monotonic milliseconds when it was committed.
    var since: Int64
    var caller: Caller
  }

  /// In the order of their positions.
  private(set) var entries: [Entry] = []
  /// Up to where each linked gateway has the access log in force.
  private var gateways: [LinkID: UInt64] = [:]

  /// A gateway linked: it is told everything up to `position` before anything else, and has nothing in force until then,
  /// so nobody waits for it.
  mutating func opened(_ link: LinkID, at position: UInt64) { gateways[link] = position }
  mutating func closed(_ link: LinkID) { gateways[link] = nil }

  mutating func confirmed(_ link: LinkID, _ position: UInt64) {
    guard let before = gateways[link] else { return }
    gateways[link] = max(before, position)
  }

  /// A change was committed; `position` is at or above that of every earlier one.
  mutating func wait(for position: UInt64, since: Int64, _ caller: Caller) {
    precondition(entries.last.map { $0.position <= position } ?? true, "positions ascend")
    entries.append(Entry(position: position, since: since, caller: caller))
  }

  /// Takes out what is in force everywhere.
  mutating func settled() -> [Entry] {
    let inForce = inForce
    let count = entries.prefix { $0.position <= inForce }.count
    guard count > 0 else { return [] }
    defer { entries.removeFirst(count) }
    return Array(entries.prefix(count))
  }

  /// Gateways that have let a caller wait for too long, at this monotonic time.
  func late(at now: Int64) -> [LinkID] {
    guard let due = entries.last(where: { $0.since + SchedulerLimits.accessConfirmMilliseconds <= now }) else {
      return []
    }
    return gateways.filter { $0.value < due.position }.map(\.key)
  }

  /// When somebody will be late, or at once when somebody can be answered.
  var deadline: Int64? {
    guard let first = entries.first else { return nil }
    return first.position <= inForce ? first.since : first.since + SchedulerLimits.accessConfirmMilliseconds
  }

  private var inForce: UInt64 { gateways.values.min() ?? .max }
}
