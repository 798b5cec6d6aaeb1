import AvaloCore
import JWTKit

/// A key as it was read, before it is known which algorithms it will verify.
///
/// The type of a key decides what it can be used for: an RSA public key is no secret, and never verifies an HMAC.
enum KeyMaterial {
  case secret([UInt8])
  case rsa(Insecure.RSA.PublicKey)
  case p256(ES256PublicKey)
  case p384(ES384PublicKey)
  case p521(ES512PublicKey)
  case ed25519(EdDSA.PublicKey)

  /// Why a key was refused: a clause for the operator.
  struct Refusal: Error, Equatable {
    var message: String
    init(_ message: String) { self.message = message }
  }

  /// What it can verify, the usual first.
  var algorithms: [TokenAlgorithm] {
    switch self {
    case .secret(let bytes):
      [(32, TokenAlgorithm.hs256), (48, .hs384), (64, .hs512)].filter { bytes.count >= $0.0 }.map(\.1)
    case .rsa: [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]
    case .p256: [.es256]
    case .p384: [.es384]
    case .p521: [.es512]
    case .ed25519: [.edDSA]
    }
  }

  // MARK: Reading

  /// A secret as it stands in its file: the text's bytes, without a line end.
  init(secret bytes: [UInt8]) throws(Refusal) {
    var bytes = bytes
    while let last = bytes.last, last == 0x0A || last == 0x0D || last == 0x20 || last == 0x09 { bytes.removeLast() }
    if bytes.starts(with: "-----BEGIN".utf8) {
      throw Refusal("is a PEM file, not a secret: name public keys under auth.keys")
    }
    guard bytes.count >= GatewayLimits.secretBytesMin else {
      throw Refusal("the secret has \(bytes.count) bytes; HS256 needs at least \(GatewayLimits.secretBytesMin)")
    }
    self = .secret(bytes)
  }

  /// A secret's bytes, of a file, for something else than tokens.
  static func secret(in file: String) throws(Refusal) -> [UInt8] {
    guard case .secret(let bytes) = try KeyMaterial(secret: try KeyFile.read(file)) else {
      throw Refusal("\(file): holds no secret")
    }
    return bytes
  }

  /// A PEM public key or certificate.
  init(pem bytes: [UInt8]) throws(Refusal) {
    guard let text = String(validating: bytes, as: UTF8.self), text.contains("-----BEGIN ") else {
      throw Refusal("is not a PEM file")
    }
    guard !text.contains("PRIVATE KEY-----") else {
      throw Refusal("is a private key: the gateway only verifies, give it the public half")
    }
    if text.contains("-----BEGIN CERTIFICATE-----") {
      if let key = try? Insecure.RSA.PublicKey(certificatePEM: text) {
        self = .rsa(key)
      } else if let key = try? ES256PublicKey(certificate: text) {
        self = .p256(key)
      } else if let key = try? ES384PublicKey(certificate: text) {
        self = .p384(key)
      } else if let key = try? ES512PublicKey(certificate: text) {
        self = .p521(key)
      } else {
        throw Refusal("holds no certificate of an RSA (2048 bits or more) or elliptic curve key")
      }
      return
    }
    if let key = try? Insecure.RSA.PublicKey(pem: text) {
      self = .rsa(key)
    } else if let key = try? ES256PublicKey(pem: text) {
      self = .p256(key)
    } else if let key = try? ES384PublicKey(pem: text) {
      self = .p384(key)
    } else if let key = try? ES512PublicKey(pem: text) {
      self = .p521(key)
    } else if let key = try? EdDSA.PublicKey(pem: text) {
      self = .ed25519(key)
    } else {
      throw Refusal("holds no public key of RSA (2048 bits or more), P-256, P-384, P-521 or Ed25519")
    }
  }

  /// One key of a JWK set (RFC 7517, 7518 §6, 8037 §2); `nil` for one that is not for signatures or not understood,
  /// which the standard says to pass over.
  init?(jwk: JSONView) throws(Refusal) {
    if let use = jwk["use"], !use.matches("sig") { return nil }
    func text(_ member: StaticString) throws(Refusal) -> String {
      guard let value = jwk[member]?.string else { throw Refusal("\"\(member)\" is missing") }
      return value
    }
    guard let type = jwk["kty"]?.string else { throw Refusal("\"kty\" is missing") }
    switch (type, jwk["crv"]?.string) {
    case ("oct", _):
      var secret = try text("k")
      guard let bytes = secret.withUTF8({ Base64URL.decode(UnsafeRawBufferPointer($0)) }) else {
        throw Refusal("\"k\" is not base64url")
      }
      guard bytes.count >= GatewayLimits.secretBytesMin else {
        throw Refusal("the secret has \(bytes.count) bytes; at least \(GatewayLimits.secretBytesMin) are needed")
      }
      self = .secret(bytes)
    case ("RSA", _):
      guard let key = try? Insecure.RSA.PublicKey(modulus: text("n"), exponent: text("e")) else {
        throw Refusal("is no RSA public key of 2048 bits or more")
      }
      self = .rsa(key)
    case ("EC", "P-256"):
      guard let key = try? ES256PublicKey(parameters: (text("x"), text("y"))) else { throw Refusal("is no point") }
      self = .p256(key)
    case ("EC", "P-384"):
      guard let key = try? ES384PublicKey(parameters: (text("x"), text("y"))) else { throw Refusal("is no point") }
      self = .p384(key)
    case ("EC", "P-521"):
      guard let key = try? ES512PublicKey(parameters: (text("x"), text("y"))) else { throw Refusal("is no point") }
      self = .p521(key)
    case ("OKP", "Ed25519"):
      guard let key = try? EdDSA.PublicKey(x: text("x"), curve: .ed25519) else { throw Refusal("is no Ed25519 key") }
      self = .ed25519(key)
    default: return nil
    }
  }

  // MARK: Use

  /// What verifies `algorithm` with this key. The collection is JWTKit's only maker of algorithms; none is kept.
  func verifier(for algorithm: TokenAlgorithm) async throws(Refusal) -> any JWTAlgorithm {
    let digest: DigestAlgorithm =
      switch algorithm {
      case .hs384, .rs384, .ps384: .sha384
      case .hs512, .rs512, .ps512: .sha512
      default: .sha256
      }
    let collection = JWTKeyCollection()
    switch (self, algorithm) {
    case (.secret(let bytes), .hs256), (.secret(let bytes), .hs384), (.secret(let bytes), .hs512):
      await collection.add(hmac: HMACKey(from: bytes), digestAlgorithm: digest)
    case (.rsa(let key), .rs256), (.rsa(let key), .rs384), (.rsa(let key), .rs512):
      await collection.add(rsa: key, digestAlgorithm: digest)
    case (.rsa(let key), .ps256), (.rsa(let key), .ps384), (.rsa(let key), .ps512):
      await collection.add(pss: key, digestAlgorithm: digest)
    case (.p256(let key), .es256): await collection.add(ecdsa: key)
    case (.p384(let key), .es384): await collection.add(ecdsa: key)
    case (.p521(let key), .es512): await collection.add(ecdsa: key)
    case (.ed25519(let key), .edDSA): await collection.add(eddsa: key)
    default:
      let fitting = algorithms.map(\.rawValue).joined(separator: ", ")
      throw Refusal("this key verifies \(fitting), not \(algorithm.rawValue)")
    }
    do {
      return try await collection.getKey()
    } catch {
      throw Refusal("cannot be used: \(error)")
    }
  }
}
