import AvaloCore
import AvaloSystem
import JWTKit

/// Verifies users' tokens (JWT, RFC 7519), synchronously: signature first, then the claims.
///
/// A value that never changes; a reload makes a new one. What a token is verified with is decided by our keys: a key
/// serves only the algorithms of its type, and a token's header only chooses among them.
public struct Authenticator: Sendable {
  private let keys: VerificationKeys
  private let issuer: String?
  private let audiences: [String]
  private let userClaim: String
  private let chatsClaim: String
  private let leewayMilliseconds: Int64

  init(keys: VerificationKeys, settings: AuthenticationSettings) {
    self.keys = keys
    issuer = settings.issuer
    audiences = settings.audiences
    userClaim = settings.userClaim
    chatsClaim = settings.chatsClaim
    leewayMilliseconds = settings.leeway.milliseconds
  }

  /// Who the token speaks for.
  /// - `now`: milliseconds since 1970.
  public func authenticate(_ token: UnsafeRawBufferPointer, now: Int64) throws(TokenError) -> Identity {
    guard token.count <= GatewayLimits.tokenBytesMax else { throw .tooLarge }
    guard let firstDot = token.firstIndex(of: UInt8(ascii: ".")),
      let secondDot = token[(firstDot + 1)...].firstIndex(of: UInt8(ascii: ".")),
      let header = Base64URL.decode(UnsafeRawBufferPointer(rebasing: token[..<firstDot])),
      let signature = Base64URL.decode(UnsafeRawBufferPointer(rebasing: token[(secondDot + 1)...])),
      !header.isEmpty, !signature.isEmpty
    else { throw .malformed }
    let entries = try candidates(header)
    let signed = Array(token[..<secondDot])
    // A signature of the wrong length makes some algorithms throw: it is as wrong as any other.
    guard entries.contains(where: { (try? $0.verifier.verify(signature, signs: signed)) ?? false }) else {
      throw .wrongSignature
    }
    guard let claims = Base64URL.decode(UnsafeRawBufferPointer(rebasing: token[(firstDot + 1)..<secondDot])) else {
      throw .malformed
    }
    let result = claims.withUnsafeBytes { text -> Result<Identity, TokenError> in
      guard let claims = try? JSONView(validating: text), claims.kind == .object else { return .failure(.malformed) }
      do throws(TokenError) {
        return .success(try identity(claims, now: now))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// The same for a token that is at hand as a text.
  public func authenticate(_ token: String, now: Int64) throws(TokenError) -> Identity {
    var token = token
    let result = token.withUTF8 { bytes -> Result<Identity, TokenError> in
      do throws(TokenError) {
        return .success(try authenticate(UnsafeRawBufferPointer(bytes), now: now))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// The keys that the header (RFC 7515 §4.1) leaves.
  private func candidates(_ header: [UInt8]) throws(TokenError) -> [VerificationKeys.Entry] {
    let chosen = header.withUnsafeBytes { text -> Result<(TokenAlgorithm, String?), TokenError> in
      guard let header = try? JSONView(validating: text), let name = header["alg"]?.string else {
        return .failure(.malformed)
      }
      guard let algorithm = TokenAlgorithm(rawValue: name), keys.accepts(algorithm) else {
        return .failure(.algorithm)
      }
      // What is marked critical must be understood, and we understand nothing of the kind.
      guard header["crit"] == nil else { return .failure(.critical) }
      return .success((algorithm, header["kid"]?.string))
    }
    let (algorithm, id) = try chosen.get()
    let entries = keys.candidates(algorithm, id: id)
    guard !entries.isEmpty else { throw .noKey }
    return entries
  }

  private func identity(_ claims: JSONView, now: Int64) throws(TokenError) -> Identity {
    let expires = try milliseconds(claims, "exp")
    let notBefore = try milliseconds(claims, "nbf")
    let issuedAt = try milliseconds(claims, "iat")
    guard let expires else { throw .claim("exp", "is missing") }
    guard expires > now - leewayMilliseconds else { throw .expired }
    if let notBefore, notBefore > now + leewayMilliseconds { throw .notYet }
    if let issuedAt, issuedAt > now + leewayMilliseconds { throw .notYet }
    if let issuer, claims["iss"]?.string != issuer { throw .claim("iss", "names another issuer") }
    if !audiences.isEmpty {
      guard let audience = claims["aud"] else { throw .claim("aud", "is missing") }
      let named = audience.kind == .array ? audience.elements.compactMap(\.string) : [audience.string].compactMap { $0 }
      guard named.contains(where: audiences.contains) else { throw .claim("aud", "names another audience") }
    }
    guard let user = member(claims, userClaim)?.string, Topic.isWellFormedID(user.utf8) else {
      throw .claim(userClaim, "must be a user id: 1 to 128 of A-Z, a-z, 0-9, _ . @ -")
    }
    return Identity(
      user: user, tokenID: claims["jti"]?.string ?? "", issuedAtMilliseconds: issuedAt ?? 0,
      expiresAtMilliseconds: expires, chats: try chats(claims))
  }

  private func chats(_ claims: JSONView) throws(TokenError) -> [String] {
    guard let claim = member(claims, chatsClaim), !claim.isNull else { return [] }
    let complaint = TokenError.claim(chatsClaim, "must be a list of chat ids")
    guard claim.kind == .array else { throw complaint }
    var chats: [String] = []
    for element in claim.elements {
      guard let chat = element.string, Topic.isWellFormedID(chat.utf8) || Topic(chat) != nil else { throw complaint }
      chats.append(chat)
    }
    return chats
  }

  /// A NumericDate (RFC 7519 §2): seconds since 1970, perhaps with a fraction.
  private func milliseconds(_ claims: JSONView, _ name: StaticString) throws(TokenError) -> Int64? {
    guard let claim = claims[name] else { return nil }
    guard let seconds = claim.double, abs(seconds) < 1e12 else {
      throw .claim("\(name)", "must be seconds since 1970")
    }
    return Int64(seconds * 1000)
  }

  /// A claim whose name is a setting.
  private func member(_ claims: JSONView, _ name: String) -> JSONView? {
    claims.members.first { $0.key.string == name }?.value
  }
}
