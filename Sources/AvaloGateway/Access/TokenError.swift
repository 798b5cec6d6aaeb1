import AvaloCore

/// Why a token was not believed. Says what a developer needs, and nothing of our keys or of the token's secrets.
public enum TokenError: Error, Equatable, Sendable {
  case tooLarge
  case malformed
  case algorithm
  case critical
  case noKey
  /// The issuer's keys are being fetched, or cannot be.
  case keysAway
  case wrongSignature
  case expired
  /// `nbf` or `iat` lies ahead.
  case notYet
  /// A claim's name and what is wrong with it.
  case claim(String, String)

  public var message: String {
    switch self {
    case .tooLarge: "the token is over \(GatewayLimits.tokenBytesMax) bytes"
    case .malformed: "the token is not a JWT: three base64url parts with dots between them, of which two hold JSON"
    case .algorithm: "the token is signed with an algorithm that is not accepted here"
    case .critical: "the token's header marks something as critical that is not understood here"
    case .noKey: "no key here has the token's kid"
    case .keysAway: "the issuer's keys are not here yet: try again"
    case .wrongSignature: "the token's signature is not valid"
    case .expired: "the token has expired: come back with a new one"
    case .notYet: "the token is not valid yet: check the issuer's clock"
    case .claim(let name, let problem): "the token's claim \"\(name)\" \(problem)"
    }
  }

  public var callError: CallError {
    if self == .keysAway {
      return CallError(.unavailable, message, retryAfterMilliseconds: GatewayLimits.overloadRetryMilliseconds)
    }
    return CallError(.unauthenticated, message)
  }
}
