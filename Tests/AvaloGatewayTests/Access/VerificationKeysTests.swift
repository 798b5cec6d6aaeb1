import AvaloSystem
import Testing

@testable import AvaloGateway

/// What an operator is told about key files that cannot be used.
@Suite struct VerificationKeysTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test func readsCertificatesToo() async throws {
    folder.write("rsa.crt", TestKeys.rsaCertificate)
    folder.write("p256.crt", TestKeys.p256Certificate)
    #expect(try await problems(#"{"keys":[{"file":"rsa.crt"},{"file":"p256.crt"}]}"#) == [])
  }

  @Test func namesTheSettingAndWhatIsWrong() async throws {
    folder.write("short", "too short")
    folder.write("pem", TestKeys.rsaPublic)
    folder.write("private", TestKeys.p256Private)
    folder.write("noise", "hello")
    folder.write("small", TestKeys.rsaPublic1024)
    folder.write("broken", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    #expect(
      try await problems(#"{"secret_file":"short"}"#)
        == ["auth.secret_file: the secret has 9 bytes; HS256 needs at least 32"])
    #expect(
      try await problems(#"{"secret_file":"pem"}"#)
        == ["auth.secret_file: is a PEM file, not a secret: name public keys under auth.keys"])
    #expect(
      try await problems(#"{"secret_file":"missing"}"#)
        == ["auth.secret_file: \(folder.path)/missing: No such file or directory"])
    #expect(
      try await problems(#"{"keys":[{"file":"private"},{"file":"noise"},{"file":"pem","algorithm":"ES256"}]}"#) == [
        "auth.keys[0].file: is a private key: the gateway only verifies, give it the public half",
        "auth.keys[1].file: is not a PEM file",
        "auth.keys[2].file: this key verifies RS256, RS384, RS512, PS256, PS384, PS512, not ES256",
      ])
    for file in ["small", "broken"] {
      #expect(
        try await problems(#"{"keys":[{"file":"\#(file)"}]}"#) == [
          "auth.keys[0].file: holds no public key of RSA (2048 bits or more), P-256, P-384, P-521 or Ed25519"
        ])
    }
    #expect(
      try await problems(#"{"keys":[{"file":"pem","kid":"a"},{"file":"pem","kid":"a"}]}"#)
        == ["auth.keys[1].file: there are two keys for RS256 with the kid \"a\""])
  }

  @Test(arguments: [
    ("{", "is not JSON: the text ends where a key should be, at byte 1"),
    ("[]", "is not a JWK set: a JSON object with a list \"keys\""),
    (#"{"keys":[]}"#, "has no key that verifies signatures"),
    (#"{"keys":[{"kty":"RSA","use":"enc"}]}"#, "has no key that verifies signatures"),
    (#"{"keys":[{"kid":"x"}]}"#, "key 0: \"kty\" is missing"),
    (#"{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}"#, "key 0: the secret has 5 bytes; at least 32 are needed"),
    (#"{"keys":[{"kty":"oct","k":"+/"}]}"#, "key 0: \"k\" is not base64url"),
    (#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#, "key 0: is no RSA public key of 2048 bits or more"),
    (#"{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}]}"#, "key 0: is no point"),
    (#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}"#, "key 0: is no Ed25519 key"),
  ]) func saysWhatIsWrongWithAKeySet(text: String, message: String) async throws {
    folder.write("jwks", text)
    #expect(try await problems(#"{"jwks_file":"jwks"}"#) == ["auth.jwks_file: \(message)"])
  }

  private func problems(_ auth: String) async throws -> [String] {
    let settings = try gatewaySettings(#"{"auth":\#(auth)}"#, folder: folder.path)
    var problems: [SettingsProblem] = []
    _ = await VerificationKeys.load(settings.auth, problems: &problems)
    return problems.map(\.description)
  }
}
