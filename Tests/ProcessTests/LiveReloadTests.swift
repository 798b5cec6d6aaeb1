import AvaloClient
import AvaloCore
import AvaloKeys
import AvaloTesting
import Testing

/// What a reload applies to the processes that run, under a connection that stays. (Flags: ``FeatureFlagTests``,
/// certificates: ``TLSTests``, API keys: ``CommandLineTests``.)
@Suite struct LiveReloadTests {
  @Test func secretsLimitsOriginsAndTheLogLevelComeIntoForceAndNothingEnds() async throws {
    let server = try await RunningServer.start()
    let listener = try await server.connect("ann", device: "phone")
    let before = try await server.process.status().workers.flatMap { $0.instances.compactMap(\.pid) }

    var generator = SystemRandomNumberGenerator()
    let secret = SigningSecret(using: &generator)
    try server.process.folder.write(secret.text + "\n", to: "user-tokens.secret")
    try server.process.folder.write(
      """
      log: {level: debug}
      workers:
        gateway:
          settings:
            connections: {per_user: 1}
            limits: {publishes_per_second: 1}
            cors: {origins: [https://app.example.com]}
      """, to: "config/avalo.yaml")
    #expect(try await server.process.control("POST", "/reload").status == 200)

    // A token of the old secret lets nobody in any more; one of the new secret does, and only once.
    await #expect(throws: ClientError.self) { try await server.connect("bob", device: "phone") }
    let token = UserToken(user: "bob", chats: [], issuedAt: server.nowSeconds, lifetime: 3600, id: "t")
      .signed(with: secret)
    let bob = try await server.connect("bob", device: "phone", token: token)
    await #expect(throws: ClientError.self) { try await server.connect("bob", device: "tablet", token: token) }
    bob.close()

    let refused = await withTaskGroup(of: Bool.self) { group in
      for number in 0..<20 {
        group.addTask {
          do {
            _ = try await server.backend().call("publishRealtimeEvent", Load.event("e\(number)", to: "ann"))
            return false
          } catch ClientError.refused(let error) {
            return error.code == .resourceExhausted
          } catch {
            return false
          }
        }
      }
      return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    #expect(refused > 0)

    let (host, port) = try await server.process.address(of: "client", worker: "gateway")
    let page = try await HTTPExchange.send(
      "GET", "/healthz", to: .internet(host: host, port: port), headers: ["Origin": "https://app.example.com"])
    #expect(page.headers["access-control-allow-origin"] == "https://app.example.com")

    #expect(try await server.process.control("GET", "/log-level").body == "debug\n")
    for worker in ["gateway", "presence", "scheduler"] {
      #expect(try await server.process.control("GET", "/workers/\(worker)/log-level").body == "debug\n")
    }

    // Who was there is there still, and hears what was let through.
    var heard: String?
    for await frame in listener.frames {
      guard case .event(let delivery) = frame else { continue }
      heard = delivery.event.eventID
      break
    }
    #expect(heard?.hasPrefix("e") == true)
    listener.close()
    let after = try await server.process.status().workers.flatMap { $0.instances.compactMap(\.pid) }
    #expect(after == before)
    try await server.stop()
  }
}
