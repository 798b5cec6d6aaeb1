/// A session, across links and restarts of the link.
struct SessionName: Hashable {
  var incarnation: UInt64
  var session: UInt64
}

/// Tickets that have opened a session, remembered for one to two of their lifetimes.
struct SpentTickets {
  private var present: [UInt64: SessionName] = [:]
  private var past: [UInt64: SessionName] = [:]
  private var turnAt: Int64 = 0

  var isFull: Bool { present.count >= SchedulerLimits.ticketsMax / 2 }

  /// Who spent it.
  func spender(of ticket: UInt64) -> SessionName? { present[ticket] ?? past[ticket] }
  mutating func spend(_ ticket: UInt64, by session: SessionName) { present[ticket] = session }
  mutating func restore(_ ticket: UInt64) { present[ticket] = nil }

  mutating func forget(nowMilliseconds: Int64) {
    guard nowMilliseconds >= turnAt else { return }
    turnAt = nowMilliseconds + SchedulerLimits.ticketMilliseconds
    past = present
    present = [:]
  }
}
