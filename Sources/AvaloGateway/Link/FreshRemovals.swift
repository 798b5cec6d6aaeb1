import AvaloSystem
import AvaloWire
import NIOCore

/// Removals of members that the presence worker may not have in its file: told a moment ago, or not at all for want of a
/// link. A new link begins with them, since the worker at the old one's end may have died before it wrote. A pure value; of
/// too many the oldest go.
struct FreshRemovals {
  private var entries = CircularBuffer<(removal: PartnershipsEnded, told: MonotonicInstant)>()
  /// Named in all of them.
  private(set) var users = 0

  mutating func append(_ removal: PartnershipsEnded, at now: MonotonicInstant) {
    entries.append((removal, now))
    users += removal.users.count
    while users > GatewayLimits.freshRemovalsMax { removeFirst() }
  }

  /// While there is a link: what was told on it long enough ago is in the file.
  mutating func forgetWritten(at now: MonotonicInstant) {
    while let oldest = entries.first, now >= oldest.told + GatewayLimits.freshRemovalAge { removeFirst() }
  }

  /// What to tell a new link, the oldest first; from now on it counts as told.
  mutating func takeForLink(at now: MonotonicInstant) -> [PartnershipsEnded] {
    for index in entries.indices { entries[index].told = now }
    return entries.map(\.removal)
  }

  private mutating func removeFirst() { users -= entries.removeFirst().removal.users.count }
}
