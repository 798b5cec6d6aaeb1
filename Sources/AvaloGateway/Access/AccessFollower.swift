import AvaloCore
import AvaloWire

/// How far the gateway is in the access log, over its link to the scheduler: first the whole state, then each step as it
/// is taken, in force when every loop has it. Pure: it is told what arrives and says what to do.
struct AccessFollower {
  enum State: Equatable {
    /// No link: what is known grows old.
    case away
    /// A new link is telling the state.
    case catchingUp(RevocationTable)
    /// Up to this position everything is known.
    case following(UInt64)
  }

  enum Action: Equatable {
    case nothing
    /// The state is known: put it in the place of the old one, cut who is revoked, and go on.
    case begin(RevocationTable, UInt64)
    /// One more step: apply it, and have every loop apply it.
    case apply(AccessChanged)
  }

  private(set) var state = State.away
  /// Up to where each loop has applied the steps.
  private var applied: [UInt64]
  private var confirmed: UInt64 = 0

  init(loops: Int) {
    precondition(loops > 0)
    applied = Array(repeating: 0, count: loops)
  }

  var isFollowing: Bool { if case .following = state { true } else { false } }

  mutating func linkOpened() { state = .catchingUp(RevocationTable()) }
  mutating func linkClosed() { state = .away }

  mutating func received(_ access: AccessChanged) throws(WireError) -> Action {
    switch state {
    case .away: throw .malformed("access without a link")
    case .catchingUp(var table):
      state = .away  // so that the table is not copied
      // Members are asked for one by one; a state consists of revocations.
      for case .revoked(let revocation) in access.changes { table.add(revocation) }
      state = .catchingUp(table)
      return .nothing
    case .following(let position):
      guard access.position > position else {
        throw .malformed("access position \(access.position) after \(position)")
      }
      state = .following(access.position)
      return .apply(access)
    }
  }

  mutating func received(_ live: AccessLive) throws(WireError) -> Action {
    guard case .catchingUp(let table) = state else { throw .malformed("the state of access was told already") }
    state = .following(live.position)
    confirmed = live.position
    for loop in applied.indices { applied[loop] = live.position }
    return .begin(table, live.position)
  }

  /// A loop has applied everything up to `position`. Answers what may be confirmed, when that is news.
  /// - `loop`: from 0.
  mutating func applied(_ position: UInt64, by loop: Int) -> UInt64? {
    guard case .following(let latest) = state, position <= latest else { return nil }
    applied[loop] = max(applied[loop], position)
    guard let everywhere = applied.min(), everywhere > confirmed else { return nil }
    confirmed = everywhere
    return everywhere
  }
}
