import AvaloCore
import AvaloSystem
import JWTKit

/// Verifies users' tokens (JWT, RFC 7519), synchronously: signature first, then the claims.
///
/// A value that never changes; a reload makes a new one. What a token is verified with is decided by our keys: a key
/// serves only the algorithms of its type, and a token's header only chooses among them.
public struct Authenticator: Sendable {
  private let keys: VerificationKeys
  /// Issuers whose keys are fetched.
  private let remotes: [RemoteKeys]
  /// What is asked of a token whose keys do not say otherwise.
  private let rules: ClaimRules
  private let userClaim: String
  private let chatsClaim: String
  private let leewayMilliseconds: Int64
  private let lifetimeMaxMilliseconds: Int64

  init(keys: VerificationKeys, remotes: [RemoteKeys] = [], settings: AuthenticationSettings) {
    self.keys = keys
    self.remotes = remotes
    rules = ClaimRules(issuer: settings.issuer, audiences: settings.audiences)
    userClaim = settings.userClaim
    chatsClaim = settings.chatsClaim
    leewayMilliseconds = settings.leeway.milliseconds
    lifetimeMaxMilliseconds = settings.lifetimeMax.milliseconds
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
    let candidates = try candidates(header)
    let signed = Array(token[..<secondDot])
    // A signature of the wrong length makes some algorithms throw: it is as wrong as any other.
    let signer = candidates.first { (try? $0.verifier.verify(signature, signs: signed)) ?? false }
    guard let rules = signer?.rules else { throw .wrongSignature }
    guard let claims = Base64URL.decode(UnsafeRawBufferPointer(rebasing: token[(firstDot + 1)..<secondDot])) else {
      throw .malformed
    }
    let result = claims.withUnsafeBytes { text -> Result<Identity, TokenError> in
      guard let claims = try? JSONView(validating: text), claims.kind == .object else { return .failure(.malformed) }
      do throws(TokenError) {
        return .success(try identity(claims, rules, now: now))
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

  private struct Candidate {
    var verifier: any JWTAlgorithm
    var rules: ClaimRules
  }

  /// The keys that the header (RFC 7515 §4.1) leaves.
  private func candidates(_ header: [UInt8]) throws(TokenError) -> [Candidate] {
    let chosen = header.withUnsafeBytes { text -> Result<(TokenAlgorithm, String?), TokenError> in
      guard let header = try? JSONView(validating: text), let name = header["alg"]?.string else {
        return .failure(.malformed)
      }
      guard let algorithm = TokenAlgorithm(rawValue: name) else { return .failure(.algorithm) }
      // What is marked critical must be understood, and we understand nothing of the kind.
      guard header["crit"] == nil else { return .failure(.critical) }
      return .success((algorithm, header["kid"]?.string))
    }
    let (algorithm, id) = try chosen.get()
    var found = keys.candidates(algorithm, id: id).map { Candidate(verifier: $0.verifier, rules: rules) }
    var isKnown = keys.accepts(algorithm)
    var missing: [RemoteKeys] = []
    // Secrets are not published: no fetch brings one.
    for remote in remotes where remote.settings.algorithms?.contains(algorithm) ?? !algorithm.isSymmetric {
      guard let current = remote.current else {
        missing.append(remote)
        continue
      }
      isKnown = isKnown || current.accepts(algorithm)
      let entries = current.candidates(algorithm, id: id)
      if entries.isEmpty { missing.append(remote) }
      found += entries.map { Candidate(verifier: $0.verifier, rules: remote.settings.claims ?? rules) }
    }
    if !found.isEmpty { return found }
    // The issuer may have changed its keys a moment ago; all of them are asked, not only the first with hope.
    if missing.filter({ $0.miss() }).isEmpty { throw isKnown ? .noKey : .algorithm }
    throw .keysAway
  }

  private func identity(_ claims: JSONView, _ rules: ClaimRules, now: Int64) throws(TokenError) -> Identity {
    let claimed = try milliseconds(claims, "exp")
    let notBefore = try milliseconds(claims, "nbf")
    let issuedAt = try milliseconds(claims, "iat")
    guard let claimed else { throw .claim("exp", "is missing") }
    let expires = try end(claimed, issuedAt: issuedAt, now: now)
    guard expires > now - leewayMilliseconds else { throw .expired }
    if let notBefore, notBefore > now + leewayMilliseconds { throw .notYet }
    if let issuedAt, issuedAt > now + leewayMilliseconds { throw .notYet }
    if rules.authenticatedBefore {
      guard let time = try milliseconds(claims, "auth_time") else { throw .claim("auth_time", "is missing") }
      guard time <= now + leewayMilliseconds else { throw .notYet }
    }
    if let issuer = rules.issuer, claims["iss"]?.string != issuer { throw .claim("iss", "names another issuer") }
    if !rules.audiences.isEmpty {
      guard let audience = claims["aud"] else { throw .claim("aud", "is missing") }
      let named = audience.kind == .array ? audience.elements.compactMap(\.string) : [audience.string].compactMap { $0 }
      guard named.contains(where: rules.audiences.contains) else { throw .claim("aud", "names another audience") }
    }
    guard let user = member(claims, userClaim)?.string, Topic.isWellFormedID(user.utf8) else {
      throw .claim(userClaim, "must be a user id: 1 to 128 of A-Z, a-z, 0-9, _ . @ -")
    }
    let tokenID = claims["jti"]?.string ?? ""
    guard tokenID.utf8.count <= Limits.tokenIDBytesMax else {
      throw .claim("jti", "is over \(Limits.tokenIDBytesMax) bytes")
    }
    return Identity(
      user: user, tokenID: tokenID, issuedAtMilliseconds: issuedAt ?? 0,
      expiresAtMilliseconds: expires, chats: try chats(claims))
  }

  /// When the token ends. No token is believed for longer than the bound, whatever it says: a revocation is kept that
  /// long, and must outlive what it takes back.
  private func end(_ claimed: Int64, issuedAt: Int64?, now: Int64) throws(TokenError) -> Int64 {
    if let issuedAt { return min(claimed, issuedAt + lifetimeMaxMilliseconds) }
    guard claimed - now <= lifetimeMaxMilliseconds else {
      throw .claim("iat", "is missing, and without it exp may be \(lifetimeMaxMilliseconds / 1000) s ahead at most")
    }
    return claimed
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
