import NIOCore

/// How long to wait before the next attempt: doubles from the least to the most, each spread over its half, so that
/// neighbours that lost the same process do not come back in step. Pure; randomness is passed in.
struct Backoff {
  private var random: any RandomNumberGenerator
  private var ceiling = LinkLimits.retryMin

  init(random: any RandomNumberGenerator) { self.random = random }

  /// Between half of the current ceiling and all of it.
  mutating func next() -> TimeAmount {
    let full = ceiling.nanoseconds
    ceiling = min(.nanoseconds(full * 2), LinkLimits.retryMax)
    return .nanoseconds(full / 2 + Int64.random(in: 0...(full / 2), using: &random))
  }
  mutating func reset() { ceiling = LinkLimits.retryMin }
}
