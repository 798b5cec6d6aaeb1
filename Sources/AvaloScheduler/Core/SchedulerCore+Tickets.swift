import AvaloStore

// Single-use tickets: who spent which. A ticket is remembered as an idempotency key of no topic whose content is the
// session, for as long as one can be valid and in its attach's own transaction, so that a restart forgets none.
extension SchedulerCore {
  /// A session at the door, with the ticket it was opened with.
  struct Entrance {
    /// `nil` without a ticket.
    let ticket: UInt64?
    /// The same session again, over a new link, has the same one.
    let session: UInt64

    init(ticket: String, session: UInt64, link: LinkState, key: SipHash.Key) {
      func hash(_ purpose: String, _ text: String) -> UInt64 {
        var hash = SipHash(key: key)
        hash.combine(purpose)
        hash.combine(text)
        return max(1, hash.finalize())
      }
      self.ticket = ticket.isEmpty ? nil : hash("ticket", ticket)
      self.session = hash("session", "\(link.incarnation)/\(session)")
    }
  }

  /// Whether its ticket is unspent, or was spent by the session itself. `false`, and answered, when it was another.
  func mayPass(_ entrance: Entrance, _ origin: Origin) throws(LogError) -> Bool {
    guard let spender = try spender(entrance), spender != entrance.session else { return true }
    refuse(origin, .unauthenticated, "the ticket was used before; ask for a new one", .ticket)
    return false
  }

  /// Spends the ticket. `false`, and answered, when that cannot be remembered.
  func pass(_ entrance: Entrance, _ origin: Origin) throws(LogError) -> Bool {
    guard let ticket = entrance.ticket, try spender(entrance) == nil else { return true }
    if health == .healthy {
      let until = moment.wall + SchedulerLimits.ticketMilliseconds
      try log.put(
        StoredKey(hash: ticket, content: entrance.session, offset: 0, accepted: moment.wall, until: until), topic: 0)
      turn.hasWrites = true
    } else if !tickets.spend(ticket, by: entrance.session) {
      refuse(origin, .resourceExhausted, "too many tickets were used while the log fails", .limit)
      return false
    }
    return true
  }

  private func spender(_ entrance: Entrance) throws(LogError) -> UInt64? {
    guard let ticket = entrance.ticket else { return nil }
    if let key = try log.key(topic: 0, hash: ticket), counts(key) { return key.content }
    return tickets.spender(of: ticket)
  }
}
