import AvaloSystem

/// Keeps a server that does not answer from being asked over and over, and us from waiting for it. Pure.
///
/// Closed, everybody may ask. After some failures in a row it opens: nobody may, for a while. Then one may try; that one's
/// answer closes it, or opens it for another while.
struct CircuitBreaker: Sendable, Equatable {
  private(set) var failures = 0
  private var openUntil: MonotonicInstant?
  private var isTrying = false

  var isOpen: Bool { openUntil != nil }

  /// Whether somebody may ask now; whoever may must say how it went.
  mutating func mayAsk(at now: MonotonicInstant) -> Bool {
    guard let openUntil else { return true }
    guard now >= openUntil, !isTrying else { return false }
    isTrying = true
    return true
  }

  mutating func succeeded() { self = CircuitBreaker() }

  mutating func failed(at now: MonotonicInstant) {
    failures += 1
    isTrying = false
    if openUntil != nil || failures >= GatewayLimits.webhookFailuresMax {
      openUntil = now + GatewayLimits.webhookOpenTime
    }
  }
}
