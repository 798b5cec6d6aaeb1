import AvaloClient
import AvaloCore
import AvaloSystem
import AvaloTesting
import Foundation
import JWTKit
import Logging
import NIOPosix
import Synchronization
import Testing

/// A real issuer over HTTP, which changes its keys and goes away, and a real gateway that believes its tokens.
@Suite struct IssuerTests {
  /// Publishes its present key at `/keys`, while it is there.
  private final class Issuer: Sendable {
    private struct Present {
      var kid = 0
      var key = ES256PrivateKey()
      var isAway = false
    }
    private let present = Mutex(Present())

    func rotate() { present.withLock { $0 = Present(kid: $0.kid + 1) } }
    func leave() { present.withLock { $0.isAway = true } }

    func answer() -> AvaloSystem.HTTPResponse {
      let (kid, key, isAway) = present.withLock { ($0.kid, $0.key, $0.isAway) }
      guard !isAway, let point = key.parameters else { return .text("away", status: 503) }
      let (x, y) = (Self.urlSafe(point.x), Self.urlSafe(point.y))
      return .json(Array(#"{"keys":[{"kty":"EC","crv":"P-256","x":"\#(x)","y":"\#(y)","kid":"k\#(kid)"}]}"#.utf8))
    }

    private static func urlSafe(_ base64: String) -> String {
      base64.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    private struct Claims: JWTPayload {
      var sub: SubjectClaim
      var exp: ExpirationClaim
      func verify(using algorithm: some JWTAlgorithm) throws {}
    }

    func token(_ user: String) async throws -> String {
      let (kid, key) = present.withLock { ($0.kid, $0.key) }
      let keys = JWTKeyCollection()
      await keys.add(ecdsa: key, kid: JWKIdentifier(string: "k\(kid)"))
      return try await keys.sign(
        Claims(sub: SubjectClaim(value: user), exp: ExpirationClaim(value: Date().addingTimeInterval(3600))),
        kid: JWKIdentifier(string: "k\(kid)"))
    }
  }

  @Test func followsAnIssuerThatChangesItsKeysAndGoesAway() async throws {
    let issuer = Issuer()
    let routes = HTTPRoutes()
    routes.add("GET", "/keys") { _ in issuer.answer() }
    let web = HTTPServer(routes: routes, group: MultiThreadedEventLoopGroup.singleton, log: Logger(label: "issuer"))
    let port = try #require(try await web.listen(host: "127.0.0.1", port: 0)?.port)
    let server = try await RunningServer.start(environment: [
      "AVALO_WORKERS__GATEWAY__SETTINGS__AUTH__JWKS_URL": "http://127.0.0.1:\(port)/keys",
      "AVALO_WORKERS__GATEWAY__SETTINGS__AUTH__JWKS_REFRESH": "1s",
    ])
    @Sendable func connects(_ token: String) async -> Bool {
      guard let connection = try? await RealtimeConnection.open(server.endpoint, ConnectRequest(.token(token))) else {
        return false
      }
      connection.close()
      return true
    }
    let first = try await issuer.token("ann")
    try await waitUntil("the issuer's token is believed") { await connects(first) }
    #expect(await connects(server.token("bob")), "beside the keys that lie in files")

    issuer.rotate()
    let second = try await issuer.token("ann")
    try await waitUntil("the new key is believed") { await connects(second) }
    #expect(await !connects(first), "the old one no more")

    // The issuer goes away, and the gateway is killed: its successor remembers.
    issuer.leave()
    let pid = try #require(try await server.process.pid(of: "gateway"))
    kill(pid, SIGKILL)
    try await server.process.wait(for: "another gateway") { status in
      status.instances(of: "gateway").allSatisfy { $0.state == "ready" && $0.pid != pid }
    }
    try await waitUntil("a fetch has failed") {
      try await server.process.metric(
        #"avalo_jwks_fetches_total{worker="gateway",slot="0",source="jwks_url",result="failure"}"#) ?? 0 > 0
    }
    #expect(await connects(second))
    try await server.stop()
    await web.stop(within: .zero)
  }
}
