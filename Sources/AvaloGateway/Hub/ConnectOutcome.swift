import AvaloCore

/// How an attempt to connect ended, as counted in `avalo_connection_attempts_total`.
enum ConnectOutcome: Int, CaseIterable {
  case ok
  /// Not a proper request or frame.
  case badRequest
  case unauthenticated
  case denied
  /// The engine is off for this user.
  case disabled
  /// Over a bound that belongs to the client.
  case limit
  /// The client left before it was ready.
  case abandoned
  /// Not ready in time.
  case timeout
  /// A fault of ours.
  case error
  /// Refused because we had too much to do.
  case shed

  var label: String {
    switch self {
    case .ok: "ok"
    case .badRequest: "bad_request"
    case .unauthenticated: "unauthenticated"
    case .denied: "denied"
    case .disabled: "disabled"
    case .limit: "limit"
    case .abandoned: "abandoned"
    case .timeout: "timeout"
    case .error: "error"
    case .shed: "shed"
    }
  }

  init(_ code: StatusCode) {
    self =
      switch code {
      case .unauthenticated: .unauthenticated
      case .permissionDenied: .denied
      case .resourceExhausted: .limit
      case .invalidArgument, .failedPrecondition, .outOfRange: .badRequest
      default: .error
      }
  }
}
