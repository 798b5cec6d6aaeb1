import AvaloSystem
import Testing

@testable import AvaloConsole

@Suite(.timeLimit(.minutes(2))) struct ViewRoutesTests {
  private let clock = ManualClock()

  /// Somebody who is signed in asks.
  private func answer(_ player: ControlPlayer, _ path: String, _ query: String = "") async throws -> (Int, String) {
    player.know(key: "avk_x")
    let access = player.access(clock: clock.monotonic)
    guard case .done(let token, _) = await access.signIn("avk_x") else { throw CancellationError() }
    let routes = HTTPRoutes()
    ViewRoutes(
      access: access, control: player.control(),
      watcher: Watcher(player.control(), clock: clock.monotonic, wall: clock.wall, log: .init(label: "console"))
    ).add(to: routes)
    let response = await routes.answer(
      HTTPRequest(method: "GET", path: path, query: query, headers: ["Cookie": "avalo_console=\(token)"]))
    return (response.status, String(decoding: response.body, as: UTF8.self))
  }

  @Test func tellsAvalodsStateAsItIs() async throws {
    let player = try await ControlPlayer()
    player.answer("/status", #"{"ready":true,"workers":[]}"#)
    let (status, body) = try await answer(player, "/api/overview")
    #expect(status == 200 && body.hasPrefix(#"{"status":{"ready":true,"workers":[]},"usage":{},"indicators":["#))
    #expect(body.hasSuffix(#""times":[]}"#))
    await player.stop()
  }

  @Test func writesIndicatorsWithTheirThresholdsAndHoles() {
    var history = History()
    history.add(
      at: 1000, milliseconds: 0, Totals(),
      MetricsPage(Array("avalo_connections 12".utf8), of: ["avalo_connections"]))
    history.addNothing(at: 2000, milliseconds: 1000)
    let usage = ["gateway.0": WorkerUsage(memoryBytes: 1.5e7, cpuShare: 0.1234567)]
    let text = String(decoding: Overview.document(Array("{}".utf8), usage, history.points), as: UTF8.self)
    #expect(
      text.contains(
        #"{"id":"connectionErrors","title":"Connection errors","unit":"share","thresholds":[{"severity":"warning","value":0.02},{"severity":"critical","value":0.05}],"values":[null,null]}"#
      ), "\(text)")
    #expect(
      text.contains(#""id":"connections","title":"Connections","unit":"count","thresholds":[],"values":[12,null]"#))
    #expect(text.contains(#""gateway.0":{"memoryBytes":15000000,"cpuShare":0.123457,"openDescriptors":null"#))
    #expect(text.hasSuffix(#""times":[1000,2000]}"#))
  }

  @Test func asksForConnectionsAndPresenceWithinBounds() async throws {
    let player = try await ControlPlayer()
    player.answer("/workers/gateway/call/listConnections", #"{"result":{"connections":[],"nextCursor":null}}"#)
    player.answer("/workers/gateway/call/getPresenceV1", #"{"result":{"presence":{}}}"#)
    player.answer("/workers/gateway/call/listOnlineUsers", #"{"result":{"users":[]}}"#)
    #expect(
      try await answer(player, "/api/connections", "user=ann")
        == (200, #"{"result":{"connections":[],"nextCursor":null}}"#))
    #expect(try await answer(player, "/api/presence").1 == #"{"result":{"users":[]}}"#)
    #expect(try await answer(player, "/api/presence", "user=ann,+bob").1 == #"{"result":{"presence":{}}}"#)
    for query in ["user=a%20b%2F", "user=%3Cb%3E", "user=\(String(repeating: "a", count: 129))"] {
      #expect(try await answer(player, "/api/connections", query).0 == 400, "\(query)")
    }
    let many = (0...ConsoleLimits.usersMax).map { "u\($0)" }.joined(separator: ",")
    #expect(try await answer(player, "/api/presence", "user=\(many)").0 == 400)
    #expect(try await answer(player, "/api/presence", "user=,").0 == 400)
    await player.stop()
  }

  @Test func beginsATopicWithItsLastEvents() async throws {
    let player = try await ControlPlayer()
    player.answer("/workers/scheduler/topics", #"{"name":"user:ann","head":250}"#)
    player.answer("/workers/scheduler/events", #"{"events":[]}"#)
    let (status, body) = try await answer(player, "/api/topic", "name=user%3Aann")
    #expect(status == 200 && body == #"{"topic":{"name":"user:ann","head":250},"events":{"events":[]}}"#)
    _ = try await answer(player, "/api/topic", "name=user:ann&after=7")
    #expect(
      player.asked.withLock { $0 } == [
        "/workers/scheduler/topics?name=user%3Aann",
        "/workers/scheduler/events?topic=user%3Aann&after=150&limit=100",
        "/workers/scheduler/topics?name=user%3Aann",
        "/workers/scheduler/events?topic=user%3Aann&after=7&limit=100",
      ])
    for query in ["", "name=ann", "name=user:*"] { #expect(try await answer(player, "/api/topic", query).0 == 400) }
    await player.stop()
  }

  @Test func tellsAnEventsWayAndAUsers() async throws {
    let player = try await ControlPlayer()
    player.answer("/status", #"{"workers":[{"name":"gateway","instances":[{"slot":0,"state":"ready"}]}]}"#)
    player.answer("/workers/scheduler/trace", #"{"now":9000,"copies":[],"topics":[]}"#)
    player.answer("/workers/gateway.0/trace", #"{"instance":"gateway.0","connections":[],"journal":[]}"#)
    #expect(
      try await answer(player, "/api/trace", "event=e1&topic=chat%3Ac")
        == (200, #"{"event":{"eventId":"e1","now":9000,"copies":[]}}"#))
    #expect(try await answer(player, "/api/trace", "user=ann").1.hasPrefix(#"{"user":{"user":"ann","head":0,"#))
    for query in ["", "topic=chat:c", "event=e&topic=nonsense", "event=e&user=a%2Fb", "event=e&user=ann&topic=chat:c"] {
      #expect(try await answer(player, "/api/trace", query).0 == 400, "\(query)")
    }
    player.answer("/workers/scheduler/trace", "nonsense")
    #expect(try await answer(player, "/api/trace", "user=ann").0 == 503)
    await player.stop()
  }

  @Test func tellsWhoIsAwayFromWhatIsNotThere() async throws {
    let player = try await ControlPlayer()
    player.answer("/workers/scheduler/topics", #"{"error":"nothing was ever published to user:ann"}"#, status: 404)
    #expect(
      try await answer(player, "/api/topic", "name=user:ann")
        == (404, #"{"error":"nothing was ever published to user:ann"}"#))
    player.answer("/status") { .text("scheduler.0 is waiting", status: 503) }
    #expect(try await answer(player, "/api/overview") == (503, #"{"error":"scheduler.0 is waiting"}"#))
    player.answer("/workers/gateway/call/") {
      .json(Array(#"{"error":{"status":"INVALID_ARGUMENT","message":"no such cursor"}}"#.utf8), status: 400)
    }
    #expect(try await answer(player, "/api/connections", "cursor=x") == (400, #"{"error":"no such cursor"}"#))
    await player.stop()
  }

  @Test func saysWhoDoesNotAnswerInTime() async throws {
    let player = try await ControlPlayer()
    player.routes.add(prefix: "/") { _ in
      // Until the question is given up.
      try? await Task.sleep(for: .seconds(600))
      return .text("late")
    }
    let control = player.control()
    for (path, name) in [("/status", "avalod"), ("/workers/scheduler/topics", "The worker scheduler")] {
      await #expect(throws: ControlSocket.Trouble(kind: .away, message: "\(name) does not answer in time.")) {
        try await control.get(path, timeout: .milliseconds(100))
      }
    }
    await player.stop()
  }

  @Test func saysThatNobodyAnswers() async throws {
    let control = ControlSocket(
      path: { "/nowhere/control.sock" }, group: .singletonMultiThreadedEventLoopGroup,
      metrics: ConsoleMetrics(.init()))
    await #expect(
      throws: ControlSocket.Trouble(kind: .away, message: "avalod does not answer at its control socket.")
    ) { try await control.get("/status") }
  }
}
