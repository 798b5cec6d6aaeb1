import AvaloCore

/// What is decided about entries.
enum OutboxPolicy {
  enum Outcome: Equatable {
    /// It cannot be done, ever: the next one.
    case drop
    /// Later, on the same connection.
    case retry
    /// When there is another connection.
    case wait
  }

  static func outcome(_ error: any Error) -> Outcome {
    guard let error = error as? ClientError else { return .wait }
    switch error {
    // Nobody answered, or not in time, and over no way.
    case .unreachable, .timedOut, .broken: return .retry
    case .closed, .disconnected, .misused, .storage: return .wait
    case .refused(let refusal):
      switch refusal.code {
      // Another token may change that.
      case .cancelled, .unauthenticated: return .wait
      // Among them what is switched off for the user: no waiting changes that, and nothing behind it may wait for it.
      default: return error.isTransient ? .retry : .drop
      }
    }
  }

  /// How long a thing is worth telling, in milliseconds, by its type of event or the name of its function: as long as the
  /// server would keep it.
  static func ttlMilliseconds(_ type: String) -> Int64 {
    if let event = EventType(wireName: type) { return Int64(event.defaultTTLSeconds) * 1_000 }
    return type == "updatePresenceV1" ? Int64(EventType.presenceUpdate.defaultTTLSeconds) * 1_000 : 24 * 3_600 * 1_000
  }

  /// Milliseconds until the next try.
  /// - `failures`: 1 after the first.
  static func delay(_ failures: Int, _ error: any Error, draw: () -> Double) -> Int64 {
    let bound = min(ClientLimits.outboxRetryMax, ClientLimits.outboxRetryMin << min(failures - 1, 20))
    let told = Int64((error as? ClientError)?.retryAfterMilliseconds ?? 0)
    return max(told, bound / 2 + Int64(draw() * Double(bound / 2)))
  }
}
