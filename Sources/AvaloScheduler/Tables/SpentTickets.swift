/// Tickets that were spent while the log took no writes, by hash, with the hash of the session that spent each; remembered
/// for one to two of their lifetimes. Those spent at other times are in the log.
struct SpentTickets {
  private var present: [UInt64: UInt64] = [:]
  private var past: [UInt64: UInt64] = [:]
  private var turnAt: Int64 = 0

  func spender(of ticket: UInt64) -> UInt64? { present[ticket] ?? past[ticket] }

  /// `false` when there are too many.
  mutating func spend(_ ticket: UInt64, by session: UInt64) -> Bool {
    guard present.count < SchedulerLimits.ticketsMax / 2 else { return false }
    present[ticket] = session
    return true
  }

  mutating func forget(nowMilliseconds: Int64) {
    guard nowMilliseconds >= turnAt else { return }
    turnAt = nowMilliseconds + SchedulerLimits.ticketMilliseconds
    past = present
    present = [:]
  }
}
