import Crypto

/// The secret that user tokens are signed and verified with (HS256).
///
/// It is written as text, and that text's bytes are the key: whoever signs tokens elsewhere pastes it as it stands.
public struct SigningSecret: Sendable {
  /// What stands in the file, without the line end.
  public let text: String

  /// RFC 7518 §3.2: a key of the hash's size or larger.
  public static let bytesMin = 32

  /// `nil` when it is too short to sign with.
  public init?(text: String) {
    let trimmed = text.trimmingLineEnd()
    guard trimmed.utf8.count >= SigningSecret.bytesMin else { return nil }
    self.text = trimmed
  }

  /// A new one: 256 random bits as 64 hexadecimal digits.
  public init(using generator: inout some RandomNumberGenerator) {
    text = hexadecimal(randomBytes(32, using: &generator))
  }

  var key: SymmetricKey { SymmetricKey(data: Array(text.utf8)) }
}
