import AvaloCore
import AvaloSystem
import AvaloWeb
import JWTKit
import Logging
import Synchronization
import Testing

@testable import AvaloGateway

/// An issuer whose keys are fetched: rotation, outages, Firebase. The issuer is the test.
@Suite struct RemoteKeysTests {
  private let folder: TemporaryFolder
  private let clock = AvaloSystem.ManualClock(wallMilliseconds: testNow)

  init() throws { folder = try TemporaryFolder() }

  private struct Away: Error {}

  private func keys(_ auth: String = #"{"jwks_url":"https://id.example.com/keys"}"#) throws -> RemoteKeys {
    let settings = try gatewaySettings(#"{"auth":\#(auth)}"#).auth
    return RemoteKeys(
      try #require(settings.remotes.first), stateDirectory: folder.path, clock: clock.monotonic, wall: clock.wall,
      log: Logger(label: "test"))
  }

  private func authenticator(
    _ keys: RemoteKeys, _ auth: String = #"{"jwks_url":"https://id.example.com/keys"}"#
  ) throws -> Authenticator {
    Authenticator(
      keys: VerificationKeys(), remotes: [keys], settings: try gatewaySettings(#"{"auth":\#(auth)}"#).auth)
  }

  private static func set(_ kids: String...) -> [UInt8] {
    let keys = kids.map {
      #"{"kty":"EC","crv":"P-256","x":"\#(TestKeys.p256Point.x)","y":"\#(TestKeys.p256Point.y)","kid":"\#($0)"}"#
    }
    return Array(#"{"keys":[\#(keys.joined(separator: ","))]}"#.utf8)
  }

  private func token(_ kid: String, _ algorithm: String = "ES256", claims: String = "") async throws -> String {
    let keys = JWTKeyCollection()
    if algorithm == "ES256" {
      await keys.add(ecdsa: try ES256PrivateKey(pem: TestKeys.p256Private))
    } else {
      await keys.add(rsa: try Insecure.RSA.PrivateKey(pem: TestKeys.rsaPrivate), digestAlgorithm: .sha256)
    }
    return try makeToken(
      #"{"alg":"\#(algorithm)","kid":"\#(kid)"}"#,
      #"{"sub":"ann","iat":\#(testNow / 1000 - 10),"exp":\#(testNow / 1000 + 3600)\#(claims)}"#,
      try await keys.getKey())
  }

  private func refusal(_ authenticator: Authenticator, _ token: String) -> TokenError? {
    do throws(TokenError) {
      _ = try authenticator.authenticate(token, now: testNow)
      return nil
    } catch {
      return error
    }
  }

  @Test func anIssuerChangesItsKeys() async throws {
    let keys = try keys()
    let authenticator = try authenticator(keys)
    let (old, new) = (try await token("1"), try await token("2"))
    // Not here yet: the client is to come back, not to give up.
    #expect(refusal(authenticator, old) == .keysAway)
    #expect(TokenError.keysAway.callError.code == .unavailable)
    await keys.refresh { _ in Self.set("1") }
    #expect(refusal(authenticator, old) == nil)
    #expect(refusal(authenticator, new) == .noKey, "it was asked a moment ago")
    clock.advance(by: .seconds(31))
    #expect(refusal(authenticator, new) == .keysAway)
    await keys.refresh { _ in Self.set("2") }
    #expect(refusal(authenticator, new) == nil)
    #expect(refusal(authenticator, old) == .noKey)
  }

  @Test func itsLastKeysServeWhileItIsAwayButNotForEver() async throws {
    let keys = try keys()
    let authenticator = try authenticator(keys)
    let token = try await token("1")
    await keys.refresh { _ in Self.set("1") }
    for answer in ["", "{}", "<html>", #"{"keys":[]}"#, #"{"keys":[{"kty":"oct","k":"\#(testSecret)"}]}"#] {
      clock.advance(by: .seconds(3600))
      await keys.refresh { _ in
        if answer.isEmpty { throw Away() }
        return Array(answer.utf8)
      }
      #expect(refusal(authenticator, token) == nil)
    }
    clock.advance(by: .seconds(19 * 3600))
    #expect(refusal(authenticator, token) == .keysAway)
    await keys.refresh { _ in Self.set("1") }
    #expect(refusal(authenticator, token) == nil)
  }

  @Test func aRestartDuringAnOutageIsNoOutage() async throws {
    let first = try keys()
    await first.refresh { _ in Self.set("1") }
    clock.advance(by: .seconds(23 * 3600))
    let second = try keys()
    let authenticator = try authenticator(second)
    let token = try await token("1")
    let (timers, timer) = AsyncStream.makeStream(of: Duration.self)
    let running = Task {
      await second.run(fetch: { _ in throw Away() }, after: { time, _ in timer.yield(time) })
    }
    // It has tried, and waits for the next try.
    for await time in timers {
      #expect(time == .seconds(1))
      break
    }
    #expect(refusal(authenticator, token) == nil)
    clock.advance(by: .seconds(3600))
    #expect(refusal(authenticator, token) == .keysAway, "a day is over")
    second.stop()
    await running.value
    // Another issuer's keys are not remembered as this one's.
    let other = #"{"jwks_url":"https://other.example.com/keys"}"#
    let third = try keys(other)
    let ended = Task { await third.run(fetch: { _ in throw Away() }, after: { _, _ in third.stop() }) }
    await ended.value
    #expect(third.current == nil)
  }

  @Test func secretsAndBrokenKeysOfASetArePassedOver() async throws {
    let text = """
      {"keys":[{"kty":"oct","k":"\(Base64URL.encode(testSecret.utf8))","kid":"s"},{"kty":"RSA","n":"AQAB","e":"AQAB"},
      {"kty":"EC","crv":"P-256","x":"\(TestKeys.p256Point.x)","y":"\(TestKeys.p256Point.y)","kid":"1","alg":"ES256"}]}
      """
    let keys = try keys()
    await keys.refresh { _ in Array(text.utf8) }
    let authenticator = try authenticator(keys)
    #expect(refusal(authenticator, try await token("1")) == nil)
    let symmetric = try makeToken(
      #"{"alg":"HS256","kid":"s"}"#, #"{"sub":"ann","exp":\#(testNow / 1000 + 60)}"#,
      try await hmac(testSecret, .sha256))
    #expect(refusal(authenticator, symmetric) == .algorithm)
  }

  @Test func firebasesTokensAreFirebasesAlone() async throws {
    let auth = #"{"firebase":{"project":"my-app"},"issuer":"https://own.example.com"}"#
    let keys = try keys(auth)
    #expect(
      keys.settings.url
        == "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com")
    await keys.refresh { _ in
      Array(
        (#"{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","n":"\#(TestKeys.rsaModulus)","e":"AQAB","kid":"g"},"#
          + #"{"kty":"EC","crv":"P-256","x":"\#(TestKeys.p256Point.x)","y":"\#(TestKeys.p256Point.y)","kid":"e"}]}"#)
          .utf8)
    }
    let authenticator = try authenticator(keys, auth)
    let past = testNow / 1000 - 100
    let good = #","iss":"https://securetoken.google.com/my-app","aud":"my-app","auth_time":\#(past)"#
    #expect(refusal(authenticator, try await token("g", "RS256", claims: good)) == nil)
    for (claims, expected) in [
      (good.replacing("/my-app", with: "/other"), TokenError.claim("iss", "names another issuer")),
      (good.replacing("\"aud\":\"my-app\"", with: "\"aud\":\"other\""), .claim("aud", "names another audience")),
      (good.replacing(#","auth_time":\#(past)"#, with: ""), .claim("auth_time", "is missing")),
      (good.replacing("\(past)", with: "\(testNow / 1000 + 600)"), .notYet),
      ("", .claim("auth_time", "is missing")),
    ] {
      #expect(refusal(authenticator, try await token("g", "RS256", claims: claims)) == expected)
    }
    // No other algorithm, whatever the set has.
    #expect(refusal(authenticator, try await token("e", claims: good)) == .algorithm)
  }

  @Test func saysWhatIsWrongWithTheSettings() throws {
    let node = try SettingsNode(
      json: Array(
        #"{"auth":{"jwks_url":"http://id.example.com/","jwks_refresh":"1ms","firebase":{"projekt":"x"}}}"#.utf8))
    #expect(
      GatewaySettings.read(node, folder: nil).problems.map(\.description).sorted() == [
        #"auth.firebase.project: is missing; expected text"#,
        #"auth.firebase.projekt: unknown key; did you mean "project"?"#,
        #"auth.jwks_refresh: expected a duration of 1s to 1d, such as "250ms", "10s", "5m" or "2h", not "1ms""#,
        "auth.jwks_url: expected \(WebClient.expected), not \"http://id.example.com/\"",
      ])
  }
}
