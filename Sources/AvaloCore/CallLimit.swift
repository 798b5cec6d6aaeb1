/// A bound that callers can meet. An error that tells of one names it in its `details`, and `avalo_limit_refusals_total`
/// counts them by that name.
public enum CallLimit: UInt8, CaseIterable, Sendable {
  // How often.
  /// Of one function by one user.
  case callsPerSecond
  /// By one API key.
  case publishesPerSecond
  /// Of one WebSocket; acknowledgements have their own allowance, and the same name.
  case framesPerSecond

  // How many at a time.
  /// That wait for the log, of everybody together.
  case publishesInFlight
  case connectionsPerUser
  case connectionsPerAddress
  /// Of one connection.
  case topics
  /// Users whose presence one connection watches.
  case presenceTopics

  // How much at once.
  /// A request's body, or a WebSocket's message.
  case messageBytes
  case payloadBytes
  /// A custom status, an activity.
  case textBytes
  /// Users, topics in one call.
  case listItems

  public var wireName: String {
    switch self {
    case .callsPerSecond: "calls_per_second"
    case .publishesPerSecond: "publishes_per_second"
    case .framesPerSecond: "frames_per_second"
    case .publishesInFlight: "publishes_in_flight"
    case .connectionsPerUser: "connections_per_user"
    case .connectionsPerAddress: "connections_per_address"
    case .topics: "topics"
    case .presenceTopics: "presence_topics"
    case .messageBytes: "message_bytes"
    case .payloadBytes: "payload_bytes"
    case .textBytes: "text_bytes"
    case .listItems: "list_items"
    }
  }

  /// What an error that tells of it is: to come later, when the fault is in how often and how many; never, when it is in what
  /// was sent.
  var code: StatusCode {
    switch self {
    case .callsPerSecond, .publishesPerSecond, .framesPerSecond, .connectionsPerUser, .connectionsPerAddress, .topics,
      .presenceTopics:
      .resourceExhausted
    // The engine's bound, not the caller's.
    case .publishesInFlight: .unavailable
    case .messageBytes, .payloadBytes, .textBytes, .listItems: .invalidArgument
    }
  }
}

extension CallError {
  /// A limit that was met, and how much it allows.
  public struct Exceeded: Sendable, Equatable {
    public let limit: CallLimit
    public let max: Int
  }

  /// - `retryAfterMilliseconds`: `nil` where waiting does not help.
  public static func over(
    _ limit: CallLimit, max: Int, _ message: String, retryAfterMilliseconds: Int? = nil
  ) -> CallError {
    var error = CallError(limit.code, message, retryAfterMilliseconds: retryAfterMilliseconds)
    error.exceeded = Exceeded(limit: limit, max: max)
    return error
  }
}
