import AvaloClient
import AvaloCore
import AvaloTesting
import Foundation
import Testing

/// Presence and typing through the whole product: real workers, real sockets, real time.
@Suite(.serialized) struct PresenceTests {
  private static let quick = [
    "AVALO_WORKERS__GATEWAY__SETTINGS__PING_INTERVAL": "1s", "AVALO_WORKERS__GATEWAY__SETTINGS__GRACE": "1s",
    "AVALO_WORKERS__PRESENCE__SETTINGS__PING_INTERVAL": "1s", "AVALO_WORKERS__PRESENCE__SETTINGS__GRACE": "1s",
    "AVALO_WORKERS__PRESENCE__SETTINGS__LINGER_CLEAN": "1s", "AVALO_WORKERS__PRESENCE__SETTINGS__LINGER_DROP": "1s",
  ]

  private func watcher(
    _ server: RunningServer, _ user: String, device: String = "phone", topics: [String] = [], chats: [String] = []
  ) async throws -> PresenceWatcher {
    PresenceWatcher(
      try await server.connect(user, device: device, topics: ["user:" + user] + topics, chats: chats))
  }

  private func backend(_ server: RunningServer, _ name: String, _ data: String) async throws -> String {
    try await server.backend().call(name, JSONText(validating: Array(data.utf8))).description
  }

  // MARK: - Watching

  @Test func tellsWatchersWhatUsersSayOfThemselves() async throws {
    let server = try await RunningServer.start()
    let bob = try await watcher(server, "bob", topics: ["presence:ann", "presence:ida"])
    try await waitUntil("bob knows who is not here") {
      bob.statuses(of: "ann") == ["offline"] && bob.statuses(of: "ida") == ["offline"]
    }
    let ann = try await watcher(server, "ann")
    try await waitUntil("ann is online") { bob.statuses(of: "ann") == ["offline", "online"] }
    let answer = try await ann.call(
      "updatePresenceV1", #"{"status":"busy","platform":"web","customStatus":"Working on Avalo 2.0"}"#)
    #expect(answer.read { $0["success"]?.boolean } == true && answer.read { $0["status"]?.string } == "busy")
    try await waitUntil("ann is busy") { bob.statuses(of: "ann").last == "busy" }
    let all = try await backend(server, "getPresenceV1", #"{"userIds":["ann","bob","nobody"]}"#)
    #expect(
      all.contains(#""ann":{"status":"busy","lastSeenAt":"#)
        && all.contains(#""platform":"web","customStatus":"Working on Avalo 2.0""#))
    #expect(all.contains(#""nobody":{"status":"offline","lastSeenAt":0,"platform":null,"customStatus":null"#))
    // Ida has no connection: what she says over HTTP is shown all the same.
    let ida = CallableClient(server.endpoint, credential: server.token("ida"))
    _ = try await ida.call("updatePresenceV1", JSONText(validating: Array(#"{"status":"away"}"#.utf8)))
    try await waitUntil("ida is away") { bob.statuses(of: "ida") == ["offline", "away"] }
    let online = try await backend(server, "listOnlineUsers", "null")
    #expect(online.contains(#""total":3"#) && online.contains(#""userId":"ida","status":"away""#))
    try await server.stop()
  }

  /// Clients stay connected, nobody is shown as gone who is not, and what changed meanwhile is told.
  @Test func convergesWhenThePresenceWorkerIsKilledAgainAndAgain() async throws {
    let server = try await RunningServer.start(environment: Self.quick)
    let users = (0..<8).map { "user\($0)" }
    var others: [PresenceWatcher] = []
    for user in users { others.append(try await watcher(server, user)) }
    let bob = try await watcher(server, "bob", topics: (users + ["late"]).map { "presence:" + $0 })
    try await waitUntil("everybody is seen") { users.allSatisfy { bob.statuses(of: $0).last == "online" } }
    for (round, status) in ["busy", "away", "busy"].enumerated() {
      try await others[round].call("updatePresenceV1", #"{"status":"\#(status)","customStatus":"round \#(round)"}"#)
      let pid = try #require(try await server.process.pid(of: "presence"))
      _ = kill(pid, SIGKILL)
      try await server.process.wait(for: "presence to be ready again") { status in
        status.instances(of: "presence").allSatisfy { $0.pid != nil && $0.pid != pid && $0.state == "ready" }
      }
      try await waitUntil("round \(round) is seen") { bob.statuses(of: users[round]).last == status }
    }
    let late = try await watcher(server, "late")
    try await waitUntil("it goes on") { bob.statuses(of: "late").last == "online" }
    for user in users { #expect(!bob.statuses(of: user).dropFirst().contains("offline"), "\(user) never left") }
    #expect(!bob.read.hasEnded && others.allSatisfy { !$0.read.hasEnded } && !late.read.hasEnded)
    // What was said before the kill was answered, and so it is still there.
    let all = try await backend(server, "getPresenceV1", #"{"userIds":["user0","user1","user2"]}"#)
    for round in 0..<3 { #expect(all.contains("round \(round)")) }
    try await server.stop()
  }

  // MARK: - Ghosts

  /// A client that hangs, and one whose network is cut, are gone within ping interval, grace and linger.
  @Test func ghostsAreGoneInTime() async throws {
    let server = try await RunningServer.start(environment: Self.quick)
    guard case .tcp(let host, let port) = server.endpoint else { return }
    let bob = try await watcher(server, "bob", topics: ["presence:hung", "presence:cut", "presence:polite"])
    let hung = try await TestProcess.start(
      TestPaths.executable("avaloctl"),
      ["listen", "--user", "hung", "--token", server.token("hung"), "--url", "http://\(host):\(port)"])
    let cut = try await server.connect("cut", device: "phone")
    let polite = try await server.connect("polite", device: "phone")
    let names = ["hung", "cut", "polite"]
    try await waitUntil("all are online") { names.allSatisfy { bob.statuses(of: $0).last == "online" } }
    hung.signal(SIGSTOP)
    let start = ContinuousClock.now
    cut.abort()
    polite.close()
    for name in names { try await waitUntil("\(name) is gone") { bob.statuses(of: name).last == "offline" } }
    let took = ContinuousClock.now - start
    // Interval, grace and linger are a second each; loops look once a second.
    #expect(took < .seconds(20), "the last ghost stayed \(took)")
    for name in names { #expect(bob.statuses(of: name).suffix(2) == ["online", "offline"]) }
    hung.signal(SIGCONT)
    try await hung.stop()
    try await server.stop()
  }

  @Test func aPageThatReloadsDoesNotFlap() async throws {
    let linger = ["AVALO_WORKERS__PRESENCE__SETTINGS__LINGER_CLEAN": "4s"]
    let server = try await RunningServer.start(environment: Self.quick.merging(linger) { $1 })
    let bob = try await watcher(server, "bob", topics: ["presence:ann"])
    // Each reload is over within the linger, on a slow machine too.
    for _ in 0..<5 {
      let ann = try await watcher(server, "ann")
      try await ann.call("updatePresenceV1", #"{"status":"busy"}"#)
      ann.connection.close()
    }
    try await waitUntil("ann is gone") { bob.statuses(of: "ann").last == "offline" }
    let seen = bob.statuses(of: "ann")
    #expect(seen.filter { $0 == "offline" }.count <= 2 && seen.filter { $0 == "online" }.count <= 1, "\(seen)")
    try await server.stop()
  }

  // MARK: - Typing

  @Test func typingEndsByItselfByAMessageAndByAGoodbye() async throws {
    let server = try await RunningServer.start()
    let topics = ["chat:c"]
    let ann = try await watcher(server, "ann", topics: topics, chats: ["c"])
    let annWeb = try await watcher(server, "ann", device: "web", topics: topics, chats: ["c"])
    let bob = try await watcher(server, "bob", topics: topics, chats: ["c"])
    let start = ContinuousClock.now
    for _ in 0..<10 { try await ann.call("sendTypingIndicatorV1", #"{"chatId":"c","isTyping":true}"#) }
    let calling = ContinuousClock.now - start
    try await waitUntil("bob sees it") { bob.read.typing.first == "ann true" }
    let viewed = try await bob.call("getPresenceV1", #"{"userIds":["ann"]}"#)
    #expect(viewed.description.contains(#""isTypingIn":["c"]"#))
    try await waitUntil("it ends by itself") { bob.read.typing.last == "ann false" }
    #expect(ContinuousClock.now - start > .milliseconds(4500))
    #expect(
      bob.read.typing.filter { $0 == "ann true" }.count <= 1 + calling.components.seconds + 1, "one a second goes out")

    try await ann.call("sendTypingIndicatorV1", #"{"chatId":"c","isTyping":true}"#)
    try await waitUntil("bob sees it again") { bob.read.typing.last == "ann true" }
    _ = try await backend(
      server, "publishRealtimeEvent",
      #"{"type":"chat_message","topic":"chat:c","sourceUserId":"ann","payload":{"text":"hello"}}"#)
    try await waitUntil("the message ends it") { bob.read.typing.last == "ann false" }
    #expect(Array(bob.read.chat.suffix(2)) == ["hello", "ann false"])
    try await waitUntil("presence knows") {
      try await bob.call("getPresenceV1", #"{"userIds":["ann"]}"#).description.contains(#""isTypingIn":[]"#)
    }

    let before = bob.read.typing.count
    try await ann.call("sendTypingIndicatorV1", #"{"chatId":"c","isTyping":true}"#)
    try await waitUntil("bob sees it once more") { bob.read.typing.count > before }
    ann.connection.close()
    try await waitUntil("it ends with the connection") { bob.read.typing.count == before + 2 }
    #expect(bob.read.typing.last == "ann false")
    #expect(ann.read.typing.isEmpty, "the device that types is not told")
    try await waitUntil("the user's other devices are told as everybody") { annWeb.read.typing == bob.read.typing }
    try await server.stop()
  }

  // MARK: - For servers

  @Test func serversSeeConnectionsAndEndThem() async throws {
    let server = try await RunningServer.start(environment: ["AVALO_WORKERS__GATEWAY__INSTANCES": "2"])
    var connections: [PresenceWatcher] = []
    for device in 0..<6 {
      connections.append(
        try await watcher(server, "ann", device: "d\(device)", topics: ["chat:c", "presence:bob"], chats: ["c"]))
    }
    let list = try await server.backend().call(
      "listConnections", JSONText(validating: Array(#"{"userId":"ann","limit":100}"#.utf8)))
    list.read { list in
      let found = list["connections"].map { Array($0.elements) } ?? []
      #expect(Set(found.compactMap { $0["deviceId"]?.string }) == Set((0..<6).map { "d\($0)" }))
      for connection in found {
        #expect(connection["subscriptions"]?.elements.compactMap(\.string) == ["user:ann", "chat:c", "presence:bob"])
        #expect(connection["subscriptionCount"]?.integer == 3 && connection["platform"]?.string == "web")
        #expect(abs((connection["lastPingAt"]?.integer ?? 0) - Int64(Date().timeIntervalSince1970 * 1000)) < 60_000)
      }
    }
    let one = connections[0].connection.ready.connectionID
    let answer = try await backend(server, "disconnectUser", #"{"userId":"ann","connectionId":"\#(one)"}"#)
    #expect(answer == #"{"success":true,"disconnected":1}"#)
    #expect(await connections[0].connection.closeReason.code == 4505)
    // Its client knows before the presence worker does.
    try await waitUntil("it is not listed any more") {
      try await !backend(server, "listConnections", #"{"userId":"ann"}"#).contains(one)
    }
    #expect(
      try await backend(server, "disconnectUser", #"{"userId":"ann","reconnect":true}"#)
        == #"{"success":true,"disconnected":5}"#)
    for watcher in connections { _ = await watcher.connection.closeReason }
    try await server.stop()
  }
}
