import AvaloClient
import AvaloCore
import AvaloTesting
import Foundation
import Testing

/// An operator's day with one server: every command asks or steers it over the control socket, and a backup brings it back
/// without lying to anybody about offsets.
@Suite(.timeLimit(.minutes(4))) struct OperatorTests {
  /// avaloctl at one server.
  private struct Tool: Sendable {
    let folder: String
    init(_ server: RunningServer) { folder = server.process.folder.path }

    /// Runs it to its end; its output. Its exit code is as it must be.
    func callAsFunction(
      _ arguments: String..., code: Int32 = 0, at location: SourceLocation = #_sourceLocation
    ) async throws -> String {
      var variables = TestProcess.plainEnvironment
      variables["AVALO_RUNTIME_DIR"] = "\(folder)/run"
      variables["AVALO_STATE_DIR"] = "\(folder)/state"
      variables["AVALO_CONFIG_DIR"] = "\(folder)/config"
      let process = try await TestProcess.start(TestPaths.executable("avaloctl"), arguments, environment: variables)
      let ending = try await process.ending(within: .seconds(60))
      #expect(ending == .exit(code), "\(arguments): \(process.output)", sourceLocation: location)
      return process.output
    }
  }

  /// The connection ended before what was waited for came.
  private struct Ended: Error { var reason: CloseReason }

  private static func json(_ text: String) throws -> JSONText {
    try JSONText(validating: text.trimmingCharacters(in: .whitespacesAndNewlines))
  }

  /// Takes frames until one is what is looked for; the connection is given up after half a minute.
  private static func first<Value: Sendable>(
    _ connection: RealtimeConnection, _ match: (ServerFrame) -> Value?
  ) async throws -> Value {
    let alarm = Task {
      try await Task.sleep(for: .seconds(30))
      connection.abort()
    }
    defer { alarm.cancel() }
    for await frame in connection.frames {
      if let value = match(frame) { return value }
    }
    throw Ended(reason: await connection.closeReason)
  }

  private static func event(_ id: String, _ frame: ServerFrame) -> Delivery? {
    if case .event(let delivery) = frame, delivery.event.eventID == id { delivery } else { nil }
  }

  @Test func asksAndSteersOverTheControlSocketAndComesBackFromABackup() async throws {
    let server = try await RunningServer.start()
    let run = Tool(server)
    let ann = try await server.connect("ann", device: "phone")
    let connectionID = ann.ready.connectionID
    let epoch = try await Self.first(ann) { if case .live(_, let position) = $0 { position.epoch } else { nil } }

    // Publish, read, tail.
    for number in 1...3 {
      let said = try await run(
        "publish", "--user", "ann", "--payload", #"{"n":\#(number)}"#, "--event-id", "e\(number)")
      #expect(said == "published e\(number) to user:ann as offset \(number) (durability os)\n")
    }
    _ = try await Self.first(ann) { Self.event("e3", $0) }
    #expect(try await run("read", "user:ann").split(separator: "\n").count == 3)
    let read = try await run("read", "user:ann", "--from", "2", "--limit", "1", "--json")
    #expect(try Self.json(read).read { [$0["eventId"]?.string, $0["type"]?.string] } == ["e2", "chat_message"])
    #expect(try await run("read", "user:ann", "--last", "1").hasPrefix("#3  "))
    #expect(try await run("read", "user:nobody", code: 1).contains("nothing was ever published to user:nobody"))
    async let tail = run("tail", "user:ann", "--last", "1", "--count", "2", "--json")
    async let waiting = run("tail", "user:new", "--count", "1")
    _ = try await run("publish", "--topic", "user:new", "--payload", "{}", "--event-id", "first")
    _ = try await run("publish", "--user", "ann", "--payload", "{}", "--event-id", "e4")
    #expect(try await tail.contains(/"eventId":"e3".*\n.*"eventId":"e4"/))
    #expect(try await waiting.contains("first"))

    // What became of an event: written, acknowledged, for nobody, unknown.
    _ = try await Self.first(ann) { Self.event("e4", $0) }
    let traced = try await run("trace", "e4", "--user", "ann")
    #expect(traced.contains(/published by avaloctl\n/) && traced.contains("  user:ann offset 4, epoch"), "\(traced)")
    #expect(traced.contains("written to \(connectionID) (gateway.0), not acknowledged yet"), "\(traced)")
    ann.acknowledge(["user:ann": Position(epoch: epoch, offset: 4)])
    try await waitUntil("the acknowledgement is kept") {
      try await run("trace", "e4", "--json").contains(#""outcome":"acknowledged""#)
    }
    #expect(try await run("trace", "first").contains("no device reads user:new"))
    #expect(try await run("trace", "never", code: 1).contains("nothing is known of never"))
    #expect(try await run("trace", "--user", "ann").contains(/\nphone +web +yes .*up to 4\n/))

    // Who is here.
    let connections = try await run("connections", "--user", "ann", "--json")
    #expect(
      try Self.json(connections).read {
        $0["connections"].map { $0.elements.map { [$0["connectionId"]?.string, $0["deviceId"]?.string] } }
      } == [[connectionID, "phone"]])
    #expect(try await run("connections").contains(/\nconn_\S+ +ann +phone +web .*user:ann/))
    #expect(try await run("presence", "ann", "bob").contains(/\nann +online .*\nbob +offline +never/))
    #expect(try await run("presence", "--online").contains(/\nann +online/))
    #expect(try await run("workers").contains(/\ngateway\.0 +ready +\d+ .*MiB/))
    #expect(try await run("top", code: 64).contains("This takes a terminal"))
    #expect(try await run("top", "--once").contains(/\nconnections +1\.0\n/))

    // Flags: durable, and refused whole.
    #expect(try await run("flags").contains(/\nrealtime_presence +100 %/))
    #expect(
      try await run("flags", "set", "realtime_presence", "12.5%")
        == "realtime_presence is for 12.5 % of the users from now on\n")
    #expect(try await run("flags", "--json").contains(#"{"name":"realtime_presence","rollout":12.5,"#))
    #expect(try await run("flags", "set", "realtime_presense", "on", code: 64).contains("realtime_presence"))
    let dropIn = "\(server.process.folder.path)/config/conf.d/50-flags.yaml"
    let kept = try String(contentsOfFile: dropIn, encoding: .utf8)
    try server.process.folder.write("logg: 1\n", to: "config/conf.d/90-broken.yaml")
    #expect(try await run("flags", "set", "realtime_presence", "50", code: 1).contains("90-broken.yaml:1: logg"))
    #expect(try String(contentsOfFile: dropIn, encoding: .utf8) == kept)
    try FileManager.default.removeItem(atPath: "\(server.process.folder.path)/config/conf.d/90-broken.yaml")

    // The backup, and what happens after it.
    let backup = "\(server.process.folder.path)/backup.tar"
    #expect(try await run("backup", backup).contains("wrote "))
    #expect(try await run("backup", backup, code: 1).contains("is there already"))
    #expect(try await run("restore", backup, "--verify").contains("is whole"))
    #expect(try await run("restore", backup, code: 1).contains("systemctl stop avalod"))
    let state = try FileManager.default.contentsOfDirectory(atPath: "\(server.process.folder.path)/state")
    #expect(!state.contains { $0.contains("snapshot") })
    _ = try await run("publish", "--user", "ann", "--payload", "{}", "--event-id", "after the backup")
    let fifth = try await Self.first(ann) { Self.event("after the backup", $0) }
    #expect(fifth.offset == 5)

    // Out they go.
    #expect(try await run("disconnect", "ann") == "ended 1 connection of ann\n")
    #expect(try await run("tokens", "revoke", "--user", "bob").hasPrefix("revoked the tokens of bob issued before "))
    await #expect(throws: ClientError.self) {
      try await server.connect(
        "bob", device: "phone", token: server.token("bob", issuedAt: server.nowSeconds - 60))
    }

    // Back to the moment of the backup.
    try await server.stop()
    #expect(try await run("publish", "--user", "ann", "--payload", "{}", code: 69).contains("systemctl start avalod"))
    let restored = try await run("restore", backup)
    #expect(restored.contains("is restored") && restored.contains("what was there is"))
    let restarted = try await server.startAgain()
    #expect(try await run("flags").contains(/\nrealtime_presence +12\.5 %/), "it survives a restart")
    #expect(try await run("flags", "unset", "realtime_presence").hasPrefix("realtime_presence is again"))
    let back = try await restarted.connect(
      "ann", device: "phone", positions: ["user:ann": Position(epoch: epoch, offset: fifth.offset)])
    let gap = try await Self.first(back) { if case .gap(let gap) = $0 { gap } else { nil } }
    #expect(gap.topic == "user:ann" && gap.reason == "epoch")
    // The same offset, another event: only the epoch tells them apart.
    _ = try await run("publish", "--user", "ann", "--payload", "{}", "--event-id", "after the restore")
    let again = try await Self.first(back) { Self.event("after the restore", $0) }
    #expect(again.offset == 5)
    back.close()
    try await restarted.stop()
  }
}
