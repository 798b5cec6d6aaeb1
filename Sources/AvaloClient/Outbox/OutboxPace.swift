/// How fast entries go out when many have waited: some at once, then so many a second, so that the server's allowance for a
/// connection and for a user is never used up by them. A pure value; times are in milliseconds.
struct OutboxPace {
  /// When the next one would be due, had each waited for the one before.
  private var ideal: Int64 = 0

  /// When the next one may go: at once, if that is over.
  var next: Int64 { ideal - (ClientLimits.outboxBurst - 1) * ClientLimits.outboxEvery }

  /// One goes out.
  mutating func take(_ now: Int64) { ideal = max(ideal, now) + ClientLimits.outboxEvery }
}
