import AvaloSystem

/// How often somebody may fail to sign in: a burst, then at a rate. For all of them together, since behind a proxy all
/// come from one address. Pure.
struct LoginThrottle: Sendable {
  private let burst: Double
  private let refillSeconds: Double
  private var left: Double
  private var countedAt: MonotonicInstant

  init(burst: Int, refill: Duration, now: MonotonicInstant) {
    self.burst = Double(burst)
    refillSeconds = refill.inSeconds
    left = self.burst
    countedAt = now
  }

  /// Takes an attempt: `nil` when it may be made, else how long to wait for the next.
  mutating func take(now: MonotonicInstant) -> Duration? {
    left = min(burst, left + max(0, (now - countedAt).inSeconds) / refillSeconds)
    countedAt = now
    guard left < 1 else {
      left -= 1
      return nil
    }
    return .milliseconds(Int64(((1 - left) * refillSeconds * 1000).rounded(.up)))
  }

  /// The attempt was a good one, or it could not be told: it does not count.
  mutating func giveBack() { left = min(burst, left + 1) }
}
