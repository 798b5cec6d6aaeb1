import AvaloCore
import AvaloSystem
import AvaloWire
import Synchronization

/// The revoked tokens as this process knows them, for all its loops: looked at wherever a token is believed. It outlives
/// reloads. The link to the scheduler keeps it; without a link it grows old, and after a second nobody may rely on it.
public final class Revocations: Sendable {
  private let table = Mutex(RevocationTable())
  private let clock: MonotonicClock
  /// Monotonic nanoseconds up to which what is known is known to be all.
  private let currentUntil = Atomic<UInt64>(0)

  public init(clock: MonotonicClock) { self.clock = clock }

  // MARK: Asking

  /// Throws when the token was taken back, or when that is not known at the moment.
  func check(_ token: TokenName) throws(CallError) {
    guard isCurrent else { throw .accessUnknown }
    guard !covers(token) else { throw .revoked }
  }

  /// Whether the token was taken back, as far as is known.
  func covers(_ token: TokenName) -> Bool { table.withLock { $0.covers(token) } }

  /// Whether what is known is all there is, give or take a second. Without it nothing may be shown to anybody that depends
  /// on rights.
  var isCurrent: Bool { clock.now.nanoseconds < currentUntil.load(ordering: .relaxed) }

  var isEmpty: Bool { table.withLock { $0.isEmpty } }
  var count: Int { table.withLock { $0.count } }

  // MARK: Keeping

  /// The scheduler has told everything that counts.
  func begin(_ state: RevocationTable) { table.withLock { $0 = state } }

  /// One step more.
  func apply(_ changes: [AccessChanged.Change]) {
    table.withLock { table in
      for change in changes {
        switch change {
        case .revoked(let revocation): table.add(revocation)
        case .released(let target): table.remove(target)
        case .removed: break
        }
      }
    }
  }

  /// The link is up and its loop turns: for a second from now, what is known is all there is.
  func stayCurrent() { stayCurrent(until: clock.now + GatewayLimits.accessAgeMax) }

  func stayCurrent(until: MonotonicInstant) { currentUntil.store(until.nanoseconds, ordering: .relaxed) }
}

extension CallError {
  static let revoked = CallError(.unauthenticated, "the token was revoked: sign in again")
  static let accessUnknown = CallError(
    .unavailable, "whether tokens were revoked is not known at the moment: try again", retryAfterMilliseconds: 1000)
}
