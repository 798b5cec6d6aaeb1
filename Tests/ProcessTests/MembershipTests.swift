import AvaloClient
import AvaloCore
import AvaloSystem
import AvaloTesting
import Logging
import NIOPosix
import Synchronization
import Testing

/// A real backend that says over HTTP who is a member of a chat, and a gateway that asks it.
@Suite struct MembershipTests {
  @Test func aBackendDecidesWhatATokenDoesNotSay() async throws {
    let members = Mutex<Set<String>>(["ann"])
    let isAway = Mutex(false)
    let routes = HTTPRoutes()
    routes.add("POST", "/members") { request in
      guard !isAway.withLock({ $0 }), request.headers["X-Avalo-Signature"]?.hasPrefix("t=") == true,
        let asked = try? SettingsNode(json: request.body), case .string(let user)? = asked["userId"]?.value
      else { return .text("away", status: 503) }
      let isMember = members.withLock { $0.contains(user) }
      return .json(Array((isMember ? #"{"allowed":["chat:c1"]}"# : #"{"allowed":[]}"#).utf8))
    }
    let web = HTTPServer(routes: routes, group: MultiThreadedEventLoopGroup.singleton, log: Logger(label: "backend"))
    let port = try #require(try await web.listen(host: "127.0.0.1", port: 0)?.port)
    let folder = TestFolder()
    let secret = try folder.write("0123456789abcdef0123456789abcdef\n", to: "webhook.secret")
    let server = try await RunningServer.start(environment: [
      "AVALO_WORKERS__GATEWAY__SETTINGS__MEMBERSHIP_WEBHOOK":
        #"{url: "http://127.0.0.1:\#(port)/members", secret_file: "\#(secret)", cache: 1s}"#
    ])
    @Sendable func granted(_ user: String) async throws -> [String] {
      let connection = try await server.connect(user, device: "phone", topics: ["user:\(user)", "chat:c1"])
      defer { connection.close() }
      return connection.ready.subscriptions
    }
    #expect(try await granted("ann") == ["user:ann", "chat:c1"])
    #expect(try await granted("bob") == ["user:bob"])
    // An answer is believed for a second here.
    members.withLock { $0 = ["bob"] }
    try await waitUntil("the backend's new word holds") { try await granted("bob") == ["user:bob", "chat:c1"] }

    // What needs no word is not touched by its absence; what does may be had another time.
    isAway.withLock { $0 = true }
    #expect(try await granted("zoe") == ["user:zoe"])
    await #expect(throws: ClientError.refused(.membershipAway)) {
      try await server.connect("yan", device: "phone", topics: ["chat:c1"])
    }
    let failures = #"avalo_membership_requests_total{worker="gateway",slot="0",result="failure"}"#
    #expect(try await server.process.metric(failures) ?? 0 >= 2)
    try await server.stop()
    await web.stop(within: .zero)
  }
}

extension CallError {
  fileprivate static let membershipAway = CallError(
    .unavailable, "who is a member of the topics asked for cannot be told at the moment: try again",
    retryAfterMilliseconds: 1000)
}
