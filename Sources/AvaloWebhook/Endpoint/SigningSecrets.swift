import AvaloCore
import AvaloSystem
import Crypto
import Glibc

/// What posts are signed with, as Standard Webhooks has it: HMAC-SHA256 over `ID.SECONDS.BODY`, `v1,BASE64` for each
/// secret, so that a secret can be exchanged without a moment in which neither holds.
struct SigningSecrets: Sendable {
  private let keys: [SymmetricKey]

  /// Secrets as they are written, `whsec_BASE64`.
  init(_ lines: [String]) throws(WebhookSecretError) {
    guard !lines.isEmpty else { throw WebhookSecretError("holds no secret") }
    guard lines.count <= WebhookLimits.secretsMax else {
      throw WebhookSecretError("holds more than \(WebhookLimits.secretsMax) secrets")
    }
    var keys: [SymmetricKey] = []
    for line in lines {
      guard line.hasPrefix("whsec_"), let bytes = Base64.decode(line.dropFirst(6)),
        WebhookLimits.secretBytes.contains(bytes.count)
      else {
        throw WebhookSecretError(
          "expected lines of whsec_ and \(WebhookLimits.secretBytes.lowerBound) to "
            + "\(WebhookLimits.secretBytes.upperBound) bytes in base64")
      }
      keys.append(SymmetricKey(data: bytes))
    }
    self.keys = keys
  }

  /// Reads a file with one a line, the newest first. The world must not be able to read it, nor the group to write it.
  static func read(_ path: String) throws(WebhookSecretError) -> SigningSecrets {
    var status = stat()
    guard stat(path, &status) == 0 else { throw WebhookSecretError("\(path): \(SystemError.text(of: errno))") }
    guard status.st_mode & 0o027 == 0 else {
      throw WebhookSecretError("\(path): others may read or write it; chmod 0600 (or 0640, for a group of its own)")
    }
    let bytes: [UInt8]
    do {
      bytes = try ProcessFile.readBytes(path, bytesMax: WebhookLimits.secretFileBytesMax)
    } catch {
      throw WebhookSecretError("\(path): \(error)")
    }
    let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(String.init)
    do {
      return try SigningSecrets(lines)
    } catch {
      throw WebhookSecretError("\(path): \(error)")
    }
  }

  /// The value of `webhook-signature`.
  func signature(id: String, seconds: Int64, body: [UInt8]) -> String {
    let signed = Array("\(id).\(seconds).".utf8) + body
    return keys.map { "v1," + Base64.encode(HMAC<SHA256>.authenticationCode(for: signed, using: $0)) }
      .joined(separator: " ")
  }
}

/// Why there is nothing to sign with.
struct WebhookSecretError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
