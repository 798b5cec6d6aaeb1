/// What became of a post.
enum Outcome: Equatable, Sendable {
  /// 2xx.
  case taken
  /// A verdict on this event.
  case refused(status: Int, retryAfter: Int64?)
  /// No verdict: nobody there, no answer in time, or one that says "not now".
  case unavailable(reason: String, retryAfter: Int64?)

  /// - `retryAfter`: the header; seconds or a date.
  init(status: Int, retryAfter: String?, nowSeconds: Int64) {
    let wait = retryAfter.flatMap { RetryAfter.milliseconds($0, nowSeconds: nowSeconds) }
    switch status {
    case 200..<300: self = .taken
    // Of the endpoint or of a proxy before it, about itself and not about the event (RFC 9110 §15.6, RFC 6585 §4).
    case 429, 502, 503, 504: self = .unavailable(reason: "HTTP \(status)", retryAfter: wait)
    default: self = .refused(status: status, retryAfter: wait)
    }
  }

  var reason: String {
    switch self {
    case .taken: "taken"
    case .refused(let status, _): "HTTP \(status)"
    case .unavailable(let reason, _): reason
    }
  }
}
