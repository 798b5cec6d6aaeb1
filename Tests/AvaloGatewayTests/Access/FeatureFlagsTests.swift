import AvaloCore
import AvaloSystem
import Testing

@testable import AvaloGateway

@Suite struct FeatureFlagsTests {
  private func flags(_ json: String = "{}") throws -> FeatureFlags {
    let (flags, problems) = SettingsReader.read(try SettingsNode(json: Array(json.utf8))) { FeatureFlags(&$0) }
    #expect(problems.map(\.description) == [])
    return flags
  }

  @Test func theEngineIsOffAndPresenceOnUntilSomebodySaysOtherwise() throws {
    let flags = try flags()
    #expect(flags.engine.rollout == 0 && flags.presence.rollout == 10_000)
    #expect(!flags.engine.isOn(for: "ann") && flags.presence.isOn(for: "ann"))
    #expect(flags.sentence == "realtime_engine_v2 off, realtime_presence on")
  }

  @Test func denyGoesBeforeAllowAndAllowBeforeTheShare() throws {
    let flags = try flags(
      """
      {"realtime_engine_v2":{"rollout":0,"allow":["ann","bob",7],"deny":["bob"]},
       "realtime_presence":{"rollout":12.5,"deny":["ann"]}}
      """)
    #expect(flags.engine.isOn(for: "ann") && flags.engine.isOn(for: "7"))
    #expect(!flags.engine.isOn(for: "bob") && !flags.engine.isOn(for: "zoe"))
    #expect(flags.engine.refusal(for: "ann") == nil)
    #expect(
      flags.engine.refusal(for: "bob") == CallError(.failedPrecondition, "realtime_engine_v2 is off for this user"))
    #expect(flags.sentence == "realtime_engine_v2 off and 3 users, realtime_presence 12.5 % but for 1 user")
  }

  /// What a backend computes for itself must not change: the first four bytes of SHA-256, modulo 10 000.
  @Test func usersKeepTheirPlaces() throws {
    let flags = try flags()
    #expect(["ann", "bob", "u1", "alice@example.com"].map(flags.engine.place) == [994, 2152, 8246, 8046])
    #expect(["ann", "bob", "u1", "alice@example.com"].map(flags.presence.place) == [7847, 5890, 2413, 2205])
  }

  @Test func aShareIsThatShareAndGrowsByAddingUsers() throws {
    let users = (0..<20_000).map { "user-\($0)" }
    var before: Set<String> = []
    for percent in [0.0, 1, 5, 25, 50, 99.5, 100] {
      let flag = try flags(#"{"realtime_engine_v2":{"rollout":\#(percent)}}"#).engine
      let on = Set(users.filter(flag.isOn))
      #expect(abs(Double(on.count) / 200 - percent) < 1)
      #expect(before.isSubset(of: on))
      before = on
    }
    #expect(before.count == users.count)
  }

  @Test func saysWhatIsWrongWithThem() throws {
    let node = try SettingsNode(
      json: Array(#"{"realtime_engine_v2":{"rollout":101,"allow":["a b"]},"realtime_presense":{}}"#.utf8))
    let (_, problems) = SettingsReader.read(node) { FeatureFlags(&$0) }
    #expect(
      problems.map(\.description).sorted() == [
        #"realtime_engine_v2.allow[0]: expected a user's id: 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not "a b""#,
        "realtime_engine_v2.rollout: expected a number of 0.0 to 100.0, not 101",
        #"realtime_presense: unknown key; did you mean "realtime_presence"?"#,
      ])
  }

  // MARK: - Calls

  @Test func subscribingIsAnsweredThatItIsOff() async throws {
    let fixture = try await CallFixture(#""flags":{"realtime_engine_v2":{"rollout":100,"deny":["ann"]}}"#)
    let name = "subscribeToRealtimeEventsV1"
    #expect(try fixture.call(name, "{}", as: .user(CallFixture.ann)) == #"{"enabled":false}"#)
    // A connection that is there goes on as it began.
    let session = FakeSession()
    let answer = try fixture.call(
      name, #"{"subscriptions":["chat:c1"]}"#, as: .user(CallFixture.ann), carrier: .session(session))
    #expect(answer.hasPrefix(#"{"enabled":true"#))
    #expect(session.subscribed == ["chat:c1"])
  }

  @Test func presenceIsNotAnsweredToWhoHasNone() async throws {
    let fixture = try await CallFixture(#""flags":{"realtime_presence":{"rollout":0}}"#)
    #expect(throws: CallError(.failedPrecondition, "realtime_presence is off for this user")) {
      try fixture.call("getPresenceV1", #"{"userIds":["bob"]}"#, as: .user(CallFixture.ann))
    }
    #expect(fixture.services.presenceRequests.isEmpty)
    // Servers are not users.
    fixture.services.presenceAnswer = { _ in .failure(CallError(.unavailable, "asked")) }
    #expect(throws: CallError(.unavailable, "asked")) { try fixture.call("getPresenceV1", #"{"userIds":["bob"]}"#) }
  }
}
