/// How long to wait before trying again: doubles from the least to the most, each spread over its upper half, so that
/// what failed together does not come back together. Pure; in milliseconds.
struct Backoff: Sendable, Equatable {
  var least: Int64
  var most: Int64

  /// - `failures`: how many there have been, this one included.
  /// - `retryAfter`: what the endpoint asked for; never waited for less than that, as far as it is believed.
  func delay(
    after failures: Int, retryAfter: Int64? = nil, using random: inout some RandomNumberGenerator
  ) -> Int64 {
    let full = failures > 40 ? most : min(most, least << Int64(max(0, failures - 1)))
    let spread = full / 2 + Int64.random(in: 0...(full - full / 2), using: &random)
    return max(spread, min(retryAfter ?? 0, WebhookLimits.retryAfterMilliseconds))
  }
}
