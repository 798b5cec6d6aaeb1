import AvaloCore
import Crypto

/// A server's key: what a backend presents to publish. Only its hash is kept where the server runs.
public struct APIKey: Sendable {
  /// `avk_` and 43 characters: what the backend sends as `Authorization: Bearer …`.
  public let text: String

  public static let prefix = "avk_"

  /// A new one, of 256 random bits.
  public init(using generator: inout some RandomNumberGenerator) {
    text = APIKey.prefix + Base64URL.encode(randomBytes(32, using: &generator))
  }

  /// One that was written down; `nil` when it is none of ours.
  public init?(text: String) {
    let trimmed = text.trimmingLineEnd()
    guard trimmed.hasPrefix(APIKey.prefix), trimmed.utf8.count > APIKey.prefix.utf8.count else { return nil }
    self.text = trimmed
  }

  /// SHA-256 of the text, in hexadecimal: the form that `api-keys.json` holds. No salt and no slow hash: the key is
  /// random, so it cannot be guessed from a list.
  public var hash: String { hexadecimal(SHA256.hash(data: Array(text.utf8))) }
}
