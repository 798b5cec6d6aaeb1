import AvaloCore
import AvaloSystem
import AvaloTesting
import JWTKit
import Testing

@testable import AvaloGateway

@Suite struct AuthenticatorTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  // MARK: Algorithms

  /// Every algorithm, signed by JWTKit, verified with a PEM key, and with the same key from a JWK set.
  @Test(arguments: TokenAlgorithm.allCases) func verifiesEachAlgorithm(algorithm: TokenAlgorithm) async throws {
    let signer = try await privateKey(algorithm)
    let token = try makeToken(
      #"{"alg":"\#(algorithm.rawValue)","kid":"k1","typ":"JWT"}"#, claims(), signer)
    for settings in [pemSettings(algorithm), jwksSettings(algorithm)] {
      let authenticator = try await load(settings)
      let identity = try authenticator.authenticate(token, now: testNow)
      #expect(
        identity
          == Identity(
            user: "u1", tokenID: "t1", issuedAtMilliseconds: testNow - 10_000,
            expiresAtMilliseconds: testNow + 60_000, chats: ["c1", "feed:news"]))
      // Any change of what was signed, or of the signature, is seen.
      let parts = token.split(separator: ".")
      let other = Base64URL.encode(claims(user: "u2").utf8)
      #expect(refusal(authenticator, "\(parts[0]).\(other).\(parts[2])") == .wrongSignature)
      let flipped = (parts[2].first == "A" ? "B" : "A") + parts[2].dropFirst()
      #expect(refusal(authenticator, "\(parts[0]).\(parts[1]).\(flipped)") == .wrongSignature)
      #expect(refusal(authenticator, "\(parts[0]).\(parts[1]).\(parts[2].prefix(8))") == .wrongSignature)
    }
  }

  /// RFC 7515, appendices A.1 and A.3: tokens and keys not made by us.
  @Test func verifiesTheStandardsExamples() async throws {
    folder.write(
      "jwks",
      #"{"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"},"#
        + #"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#
    )
    let authenticator = try await load(#"{"jwks_file":"jwks","user_claim":"iss"}"#)
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    for token in [
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\(claims).dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
      "eyJhbGciOiJFUzI1NiJ9.\(claims).DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ] {
      #expect(try authenticator.authenticate(token, now: 1_300_819_370_000).user == "joe")
      #expect(refusal(authenticator, token) == .expired)
    }
  }

  /// The classic: an RSA public key is known to all, and must not serve as an HMAC secret.
  @Test func neverVerifiesHMACWithAPublicKey() async throws {
    let authenticator = try await load(pemSettings(.rs256))
    for secret in [TestKeys.rsaPublic, TestKeys.rsaPublic + "\n"] {
      let token = try makeToken(#"{"alg":"HS256","kid":"k1"}"#, claims(), try await hmac(secret, .sha256))
      #expect(refusal(authenticator, token) == .algorithm)
    }
    // Nor where HS256 is accepted beside it, with a secret of its own.
    folder.write("secret", testSecret)
    folder.write("key.pem", TestKeys.rsaPublic)
    let both = try await load(#"{"secret_file":"secret","keys":[{"file":"key.pem","kid":"k1"}]}"#)
    for secret in [TestKeys.rsaPublic, TestKeys.rsaPublic + "\n"] {
      let token = try makeToken(#"{"alg":"HS256","kid":"k1"}"#, claims(), try await hmac(secret, .sha256))
      #expect(refusal(both, token) == .wrongSignature)
    }
  }

  @Test(arguments: [
    #"{"alg":"none"}"#, #"{"alg":"None"}"#, #"{"alg":"hs256"}"#, #"{"alg":"RS256"}"#, #"{"alg":"ES256"}"#,
    #"{"alg":"HS1"}"#, #"{"alg":""}"#,
  ]) func refusesOtherAlgorithms(header: String) async throws {
    folder.write("secret", testSecret)
    let authenticator = try await load(#"{"secret_file":"secret"}"#)
    let token = try makeToken(header, claims(), try await hmac(testSecret, .sha256))
    #expect(refusal(authenticator, token) == .algorithm)
    let unsigned = token.split(separator: ".").prefix(2).joined(separator: ".") + "."
    #expect(refusal(authenticator, unsigned) == .malformed)
  }

  @Test func choosesTheKeyByItsID() async throws {
    folder.write("a.pem", TestKeys.p256Public)
    folder.write("b.pem", TestKeys.rsaPublic)
    folder.write("secret", testSecret)
    let authenticator = try await load(
      #"{"keys":[{"file":"a.pem","kid":"a"},{"file":"b.pem","kid":"b"}],"secret_file":"secret"}"#)
    let es256 = try await privateKey(.es256)
    #expect(
      try authenticator.authenticate(makeToken(#"{"alg":"ES256","kid":"a"}"#, claims(), es256), now: testNow).user
        == "u1")
    #expect(try authenticator.authenticate(makeToken(#"{"alg":"ES256"}"#, claims(), es256), now: testNow).user == "u1")
    #expect(refusal(authenticator, try makeToken(#"{"alg":"ES256","kid":"b"}"#, claims(), es256)) == .noKey)
    // The secret has no id of its own: whatever the token calls it, it is meant.
    let hs256 = try await hmac(testSecret, .sha256)
    #expect(
      try authenticator.authenticate(makeToken(#"{"alg":"HS256","kid":"x"}"#, claims(), hs256), now: testNow).user
        == "u1")
  }

  @Test func refusesWhatIsMarkedCritical() async throws {
    folder.write("secret", testSecret)
    let authenticator = try await load(#"{"secret_file":"secret"}"#)
    let token = try makeToken(
      #"{"alg":"HS256","crit":["b64"],"b64":false}"#, claims(), try await hmac(testSecret, .sha256))
    #expect(refusal(authenticator, token) == .critical)
  }

  // MARK: Shape

  @Test func refusesWhatIsNoToken() async throws {
    folder.write("secret", testSecret)
    let authenticator = try await load(#"{"secret_file":"secret"}"#)
    let hs256 = try await hmac(testSecret, .sha256)
    let good = try makeToken(#"{"alg":"HS256"}"#, claims(), hs256)
    for text in [
      "", ".", "..", "...", "a.b", "a.b.c", good + ".", "." + good, good + "=", good + "\n", " " + good,
      good.replacing(".", with: ""), String(good.dropLast(good.count / 2)),
    ] {
      #expect(refusal(authenticator, text) == .malformed, "\(text)")
    }
    #expect(refusal(authenticator, String(repeating: "a", count: 1 << 20)) == .tooLarge)
    #expect(refusal(authenticator, good + String(repeating: "A", count: 8193 - good.utf8.count)) == .tooLarge)
    for header in [
      "[]", "7", "{}", #"{"alg":7}"#, #"{"alg":"HS256","alg":"none"}"#, "{\"alg\":\"HS256\"", "\u{FEFF}{}",
    ] {
      #expect(refusal(authenticator, try makeToken(header, claims(), hs256)) == .malformed, "\(header)")
    }
    for claims in ["[]", "null", #"{"sub":"u1""#, #"{"sub":"u1","sub":"u2","exp":9999999999}"#] {
      #expect(refusal(authenticator, try makeToken(#"{"alg":"HS256"}"#, claims, hs256)) == .malformed, "\(claims)")
    }
  }

  /// Every beginning of a good token, and random changes of it: never believed, never a crash.
  @Test func believesNothingButTheTokenItself() async throws {
    folder.write("secret", testSecret)
    let authenticator = try await load(#"{"secret_file":"secret"}"#)
    let good = Array(try makeToken(#"{"alg":"HS256"}"#, claims(), try await hmac(testSecret, .sha256)).utf8)
    for count in 0..<good.count {
      #expect(refusal(authenticator, String(decoding: good[..<count], as: UTF8.self)) != nil)
    }
    var random = TestRandom(seed: 11)
    for _ in 0..<2000 {
      var changed = good
      changed[Int.random(in: 0..<good.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      if changed == good { continue }
      changed.withUnsafeBytes { bytes in
        _ = #expect(throws: TokenError.self) { try authenticator.authenticate(bytes, now: testNow) }
      }
    }
  }

  // MARK: Claims

  @Test func checksTheTimesWithALeeway() async throws {
    folder.write("secret", testSecret)
    let authenticator = try await load(#"{"secret_file":"secret","leeway":"5s"}"#)
    let now = testNow / 1000
    func verdict(_ times: String) async throws -> TokenError? {
      refusal(
        authenticator,
        try makeToken(#"{"alg":"HS256"}"#, #"{"sub":"u",\#(times)}"#, try await hmac(testSecret, .sha256)))
    }
    #expect(try await verdict(#""exp":\#(now + 1)"#) == nil)
    #expect(try await verdict(#""exp":\#(now - 4)"#) == nil)
    #expect(try await verdict(#""exp":\#(now - 5)"#) == .expired)
    #expect(try await verdict(#""exp":\#(now - 3600)"#) == .expired)
    #expect(try await verdict(#""exp":\#(now).5"#) == nil)
    #expect(try await verdict(#""exp":\#(now + 10),"nbf":\#(now + 5)"#) == nil)
    #expect(try await verdict(#""exp":\#(now + 10),"nbf":\#(now + 6)"#) == .notYet)
    #expect(try await verdict(#""exp":\#(now + 10),"iat":\#(now + 6)"#) == .notYet)
    #expect(try await verdict(#""iat":\#(now)"#) == .claim("exp", "is missing"))
    for exp in [#""never""#, "null", "1e300", "[]"] {
      #expect(try await verdict(#""exp":\#(exp)"#) == .claim("exp", "must be seconds since 1970"))
    }
  }

  /// A revocation is kept for as long as a token can live: none may live longer.
  @Test func believesNoTokenForLongerThanTheBound() async throws {
    folder.write("secret", testSecret)
    let authenticator = try await load(#"{"secret_file":"secret","leeway":"0s","lifetime_max":"1h"}"#)
    let now = testNow / 1000
    func verdict(_ claims: String) async throws -> Result<Identity, TokenError> {
      let token = try makeToken(#"{"alg":"HS256"}"#, #"{"sub":"u",\#(claims)}"#, try await hmac(testSecret, .sha256))
      return Result { () throws(TokenError) in try authenticator.authenticate(token, now: testNow) }
    }
    // Whatever it says, it ends an hour after it was issued.
    #expect(
      try await verdict(#""iat":\#(now - 60),"exp":9999999999"#).get().expiresAtMilliseconds == testNow + 3_540_000)
    #expect(try await verdict(#""iat":\#(now - 60),"exp":\#(now + 5)"#).get().expiresAtMilliseconds == testNow + 5000)
    #expect(try await verdict(#""iat":\#(now - 3600),"exp":9999999999"#) == .failure(.expired))
    // Without a beginning its end must be near.
    #expect(try await verdict(#""exp":\#(now + 3600)"#).get().expiresAtMilliseconds == testNow + 3_600_000)
    #expect(
      try await verdict(#""exp":\#(now + 3601)"#)
        == .failure(.claim("iat", "is missing, and without it exp may be 3600 s ahead at most")))
    let long = String(repeating: "j", count: Limits.tokenIDBytesMax + 1)
    #expect(
      try await verdict(#""exp":\#(now + 60),"jti":"\#(long)""#) == .failure(.claim("jti", "is over 256 bytes")))
  }

  @Test func checksIssuerAndAudienceWhenConfigured() async throws {
    folder.write("secret", testSecret)
    let authenticator = try await load(
      #"{"secret_file":"secret","issuer":"https://id.example.com","audience":["avalo","other"]}"#)
    func verdict(_ claims: String) async throws -> TokenError? {
      refusal(
        authenticator,
        try makeToken(
          #"{"alg":"HS256"}"#, #"{"sub":"u","exp":\#(testNow / 1000 + 60)\#(claims)}"#,
          try await hmac(testSecret, .sha256)))
    }
    let issuer = #","iss":"https://id.example.com""#
    #expect(try await verdict(issuer + #","aud":"avalo""#) == nil)
    #expect(try await verdict(issuer + #","aud":["x","other"]"#) == nil)
    #expect(try await verdict(issuer + #","aud":["x"]"#) == .claim("aud", "names another audience"))
    #expect(try await verdict(issuer + #","aud":{}"#) == .claim("aud", "names another audience"))
    #expect(try await verdict(issuer) == .claim("aud", "is missing"))
    #expect(try await verdict(#","aud":"avalo""#) == .claim("iss", "names another issuer"))
    #expect(
      try await verdict(#","aud":"avalo","iss":"https://id.example.com/""#) == .claim("iss", "names another issuer"))
  }

  @Test func takesTheUserAndTheChatsFromTheClaimsNamed() async throws {
    folder.write("secret", testSecret)
    let authenticator = try await load(#"{"secret_file":"secret","user_claim":"user_id","chats_claim":"rooms"}"#)
    func identity(_ claims: String) async throws -> Identity {
      try authenticator.authenticate(
        try makeToken(
          #"{"alg":"HS256"}"#, #"{"exp":\#(testNow / 1000 + 60),\#(claims)}"#, try await hmac(testSecret, .sha256)),
        now: testNow)
    }
    let ann = try await identity(#""user_id":"a@b.c","rooms":["r1","feed:x"],"sub":"other","chats":["c"]"#)
    #expect(ann.user == "a@b.c" && ann.chats == ["r1", "feed:x"] && ann.issuedAtMilliseconds == 0)
    #expect(try await identity(#""user_id":"u","rooms":null"#).chats == [])
    for user in [#""""#, #""a b""#, "7", #""\#(String(repeating: "u", count: 129))""#] {
      await #expect(throws: TokenError.self) { try await identity(#""user_id":\#(user)"#) }
    }
    await #expect(throws: TokenError.self) { try await identity(#""sub":"u""#) }
    for rooms in [#""r1""#, "[7]", #"["a b"]"#, #"["feed:"]"#] {
      await #expect(throws: TokenError.claim("rooms", "must be a list of chat ids")) {
        try await identity(#""user_id":"u","rooms":\#(rooms)"#)
      }
    }
  }

  // MARK: Support

  private func claims(user: String = "u1") -> String {
    #"{"sub":"\#(user)","jti":"t1","iat":\#(testNow / 1000 - 10),"exp":\#(testNow / 1000 + 60),"chats":["c1","feed:news"]}"#
  }

  private func load(_ auth: String) async throws -> Authenticator {
    let settings = try gatewaySettings(#"{"auth":\#(auth)}"#, folder: folder.path)
    var problems: [SettingsProblem] = []
    let keys = await VerificationKeys.load(settings.auth, problems: &problems)
    #expect(problems.map(\.description) == [])
    return Authenticator(keys: keys, settings: settings.auth)
  }

  private func refusal(_ authenticator: Authenticator, _ token: String) -> TokenError? {
    do throws(TokenError) {
      _ = try authenticator.authenticate(token, now: testNow)
      return nil
    } catch {
      return error
    }
  }

  private func pemSettings(_ algorithm: TokenAlgorithm) -> String {
    switch algorithm {
    case .hs256, .hs384, .hs512:
      folder.write("secret", testSecret + "\n")
      return #"{"secret_file":"secret"}"#
    case .es256: folder.write("key.pem", TestKeys.p256Public)
    case .es384: folder.write("key.pem", TestKeys.p384Public)
    case .es512: folder.write("key.pem", TestKeys.p521Public)
    case .edDSA: folder.write("key.pem", TestKeys.ed25519Public)
    default: folder.write("key.pem", TestKeys.rsaPublic)
    }
    return #"{"keys":[{"file":"key.pem","algorithm":"\#(algorithm.rawValue)","kid":"k1"}]}"#
  }

  private func jwksSettings(_ algorithm: TokenAlgorithm) -> String {
    let key =
      switch algorithm {
      case .hs256, .hs384, .hs512: #""kty":"oct","k":"\#(Base64URL.encode(testSecret.utf8))""#
      case .es256: #""kty":"EC","crv":"P-256","x":"\#(TestKeys.p256Point.x)","y":"\#(TestKeys.p256Point.y)""#
      case .es384: #""kty":"EC","crv":"P-384","x":"\#(TestKeys.p384Point.x)","y":"\#(TestKeys.p384Point.y)""#
      case .es512: #""kty":"EC","crv":"P-521","x":"\#(TestKeys.p521Point.x)","y":"\#(TestKeys.p521Point.y)""#
      case .edDSA: #""kty":"OKP","crv":"Ed25519","x":"\#(TestKeys.ed25519X)""#
      default: #""kty":"RSA","n":"\#(TestKeys.rsaModulus)","e":"AQAB""#
      }
    folder.write(
      "jwks.json",
      #"{"keys":[{"kty":"RSA","use":"enc","n":"x","e":"y","kid":"k1"},{"kty":"new","kid":"k1"},{\#(key),"kid":"k1","use":"sig"}]}"#
    )
    return #"{"jwks_file":"jwks.json"}"#
  }

  private func privateKey(_ algorithm: TokenAlgorithm) async throws -> any JWTAlgorithm {
    let keys = JWTKeyCollection()
    let rsa = try Insecure.RSA.PrivateKey(pem: TestKeys.rsaPrivate)
    switch algorithm {
    case .hs256: return try await hmac(testSecret, .sha256)
    case .hs384: return try await hmac(testSecret, .sha384)
    case .hs512: return try await hmac(testSecret, .sha512)
    case .rs256: await keys.add(rsa: rsa, digestAlgorithm: .sha256)
    case .rs384: await keys.add(rsa: rsa, digestAlgorithm: .sha384)
    case .rs512: await keys.add(rsa: rsa, digestAlgorithm: .sha512)
    case .ps256: await keys.add(pss: rsa, digestAlgorithm: .sha256)
    case .ps384: await keys.add(pss: rsa, digestAlgorithm: .sha384)
    case .ps512: await keys.add(pss: rsa, digestAlgorithm: .sha512)
    case .es256: await keys.add(ecdsa: try ES256PrivateKey(pem: TestKeys.p256Private))
    case .es384: await keys.add(ecdsa: try ES384PrivateKey(pem: TestKeys.p384Private))
    case .es512: await keys.add(ecdsa: try ES512PrivateKey(pem: TestKeys.p521Private))
    case .edDSA: await keys.add(eddsa: try EdDSA.PrivateKey(pem: TestKeys.ed25519Private))
    }
    return try await keys.getKey()
  }
}
