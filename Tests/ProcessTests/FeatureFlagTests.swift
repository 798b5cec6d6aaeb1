import AvaloClient
import AvaloCore
import AvaloTesting
import Testing

/// A flag is changed under a running server, by a reload.
@Suite struct FeatureFlagTests {
  @Test func aReloadChangesWhoGetsInAndDropsNobody() async throws {
    let server = try await RunningServer.start()
    let listener = try await server.connect("ann", device: "phone")
    let ann = CallableClient(server.endpoint, credential: server.token("ann"))
    let none = try JSONText(validating: "{}")
    #expect(try await ann.call("subscribeToRealtimeEventsV1", none).read { $0["enabled"]?.boolean } == true)

    try await deny(["ann"], server)
    #expect(try await ann.call("subscribeToRealtimeEventsV1", none).description == #"{"enabled":false}"#)
    await #expect(
      throws: ClientError.refused(CallError(.failedPrecondition, "realtime_engine_v2 is off for this user"))
    ) { try await server.connect("ann", device: "tablet") }
    _ = try await server.connect("bob", device: "phone")
    // What is published is kept, and whoever is there gets it.
    let backend = server.backend()
    _ = try await backend.call("publishRealtimeEvent", Load.event("kept", to: "ann"))
    var heard: String?
    for await frame in listener.frames {
      guard case .event(let delivery) = frame else { continue }
      heard = delivery.event.eventID
      break
    }
    #expect(heard == "kept")
    listener.close()
    // It is seen by whoever looks after the server.
    #expect(
      try await server.process.status().instances(of: "gateway").first?.status
        == "realtime_engine_v2 on but for 1 user, realtime_presence on")
    try await server.process.process.wait(for: "the flags in the STATUS line") { record in
      record.notified.contains { $0.hasPrefix("STATUS=") && $0.contains("realtime_engine_v2 on but for 1 user") }
    }
    #expect(try await server.process.metric(Self.rollout) == 1)
    #expect(try await server.process.metric(Self.disabled) == 1)

    try await deny([], server)
    let back = try await server.connect("ann", device: "tablet")
    var replayed: String?
    for await frame in back.frames {
      guard case .event(let delivery) = frame else { continue }
      replayed = delivery.event.eventID
      break
    }
    #expect(replayed == "kept")
    back.close()
    try await server.stop()
  }

  private static let rollout = #"avalo_feature_rollout_ratio{worker="gateway",slot="0",feature="realtime_engine_v2"}"#
  private static let disabled = #"avalo_connection_attempts_total{worker="gateway",slot="0",outcome="disabled"}"#

  private func deny(_ users: [String], _ server: RunningServer) async throws {
    try server.process.folder.write(
      "workers: {gateway: {settings: {flags: {realtime_engine_v2: {deny: \(users)}}}}}\n", to: "config/avalo.yaml")
    #expect(try await server.process.control("POST", "/reload").status == 200)
  }
}
