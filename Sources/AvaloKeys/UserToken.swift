import AvaloCore
import Crypto

/// The claims of a token that says who a user is: what the engine reads of them, and nothing else.
///
/// For development, tests and load: in production the application's own identity service signs them.
public struct UserToken: Sendable {
  /// `sub`: the user's id.
  public var user: String
  /// `chats`: the chats whose topic the user may subscribe to.
  public var chats: [String]
  /// `iat`, seconds since 1970.
  public var issuedAt: Int64
  /// `exp` − `iat`, in seconds.
  public var lifetime: Int64
  /// `jti`: names this one token, so that it can be revoked.
  public var id: String

  public init(user: String, chats: [String] = [], issuedAt: Int64, lifetime: Int64 = 3600, id: String) {
    self.user = user
    self.chats = chats
    self.issuedAt = issuedAt
    self.lifetime = lifetime
    self.id = id
  }

  /// The token in its compact form, signed with HS256 (RFC 7515 §3.1, RFC 7518 §3.2).
  public func signed(with secret: SigningSecret) -> String {
    let signed = UserToken.header + "." + Base64URL.encode(claims().utf8)
    let code = HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: secret.key)
    return signed + "." + Base64URL.encode(code)
  }

  private static let header = Base64URL.encode(#"{"alg":"HS256","typ":"JWT"}"#.utf8)

  private func claims() -> String {
    var json = JSONWriter()
    json.object {
      $0.member("sub", user)
      $0.member("iat", issuedAt)
      $0.member("exp", issuedAt + lifetime)
      $0.member("jti", id)
      guard !chats.isEmpty else { return }
      $0.key("chats")
      $0.array { for chat in chats { $0.string(chat) } }
    }
    return String(decoding: json.bytes, as: UTF8.self)
  }
}
