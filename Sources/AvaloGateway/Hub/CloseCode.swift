import AvaloCore

/// Why the server ends a WebSocket. 4000–4499 mean "come back", 4500–4999 "something must change first".
/// The catalogue is documented in docs/protocol/client.md.
enum CloseCode: UInt16, CaseIterable {
  case goingAway = 4000
  case unavailable = 4001
  case tokenExpired = 4004
  case reconnect = 4005
  case connectTimeout = 4006
  case rateLimited = 4007
  case unauthenticated = 4500
  case permissionDenied = 4501
  case badFrame = 4502
  case limit = 4503
  case featureDisabled = 4504
  case disconnected = 4505
  case superseded = 4506
  case revoked = 4507

  var reason: StaticString {
    switch self {
    case .goingAway: "going_away"
    case .unavailable: "unavailable"
    case .tokenExpired: "token_expired"
    case .reconnect: "reconnect"
    case .connectTimeout: "connect_timeout"
    case .rateLimited: "rate_limited"
    case .unauthenticated: "unauthenticated"
    case .permissionDenied: "permission_denied"
    case .badFrame: "bad_frame"
    case .limit: "limit"
    case .featureDisabled: "feature_disabled"
    case .disconnected: "disconnected"
    case .superseded: "superseded"
    case .revoked: "token_revoked"
    }
  }
}

extension CallError {
  /// What a call is answered that was held when a server ended its user's connections.
  static func ended(_ code: CloseCode) -> CallError {
    var error = CallError(
      code == .reconnect ? .aborted : .failedPrecondition, "a server ended this connection of the user's")
    error.ending = Ending(code: Int(code.rawValue), reason: code.reason.description)
    return error
  }
}
