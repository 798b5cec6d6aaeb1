/// Whether the endpoint may be posted to now. While it is unavailable it is left alone, longer each time, and then asked
/// with one event; what it says to that decides. Pure; monotonic milliseconds.
struct EndpointState: Equatable {
  /// Unavailable outcomes in a row.
  private(set) var failures = 0
  private(set) var pausedUntil = Int64.min
  /// When it gave its last verdict, whatever it was.
  private(set) var answered = Int64.min

  var isPaused: Bool { failures > 0 }

  func mayPost(inFlight: Int, concurrency: Int, at now: Int64) -> Bool {
    failures == 0 ? inFlight < concurrency : inFlight == 0 && now >= pausedUntil
  }

  /// It gave a verdict on some event.
  mutating func answered(at now: Int64) {
    failures = 0
    pausedUntil = .min
    answered = now
  }

  /// It did not. What else was under way when it began to fail says nothing new.
  mutating func unavailable(
    since started: Int64, at now: Int64, retryAfter: Int64?, _ backoff: Backoff,
    using random: inout some RandomNumberGenerator
  ) {
    let isNews = failures == 0 || started >= pausedUntil
    if isNews { failures += 1 }
    let until = now + backoff.delay(after: failures, retryAfter: retryAfter, using: &random)
    pausedUntil = isNews ? until : max(pausedUntil, retryAfter == nil ? pausedUntil : until)
  }

  /// Whether it gave a verdict after that moment.
  func hasAnswered(since tried: Int64) -> Bool { answered > tried }
}
