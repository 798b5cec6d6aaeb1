/// What tokens may be signed with (RFC 7518 §3.1, RFC 8037). `none` is not among them.
public enum TokenAlgorithm: String, CaseIterable, Sendable {
  case hs256 = "HS256"
  case hs384 = "HS384"
  case hs512 = "HS512"
  case rs256 = "RS256"
  case rs384 = "RS384"
  case rs512 = "RS512"
  case ps256 = "PS256"
  case ps384 = "PS384"
  case ps512 = "PS512"
  case es256 = "ES256"
  case es384 = "ES384"
  case es512 = "ES512"
  case edDSA = "EdDSA"

  /// Whether it is verified with the secret that it is signed with.
  var isSymmetric: Bool { self == .hs256 || self == .hs384 || self == .hs512 }
}
