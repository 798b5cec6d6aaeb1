import AvaloClient
import AvaloCore
import AvaloTesting
import Glibc
import Synchronization
import Testing

/// The Swift client, whole, against a whole server.
@Suite(.serialized) struct SwiftClientTests {
  private static func start() async throws -> RunningServer {
    try await RunningServer.start(environment: [
      "AVALO_WORKERS__GATEWAY__SETTINGS__TOPICS__CHAT__SUBSCRIBE": "members",
      "AVALO_WORKERS__GATEWAY__SETTINGS__TOPICS__CHAT__PUBLISH": "members",
      // A worker that dies so often in a row is kept waiting; here it is to come back at once.
      "AVALO_WORKERS__GATEWAY__RESTART__MAX": "100ms",
    ])
  }

  private func options(_ server: RunningServer, _ device: String, topics: [String] = []) -> ClientOptions {
    var options = ClientOptions(server.endpoint, deviceID: device, topics: topics)
    options.reconnectIntervalMilliseconds = 50
    options.reconnectAttemptsMax = 1_000
    return options
  }

  private func token(_ server: RunningServer, _ user: String, chats: [String] = ["c1"]) -> TokenSource {
    .provider { _ in server.token(user, chats: chats) }
  }

  private func note(_ text: String) -> JSONText {
    JSONText { json in json.object { $0.member("text", text) } }
  }

  /// Whatever becomes of the gateway: killed, replaced by a new generation, or the client's own program started anew.
  @Test func losesNothingAndShowsNothingTwiceHoweverTheConnectionEnds() async throws {
    let server = try await Self.start()
    let folder = TestFolder()
    var options = options(server, "phone")
    options.cursors = FileCursorStore(folder: folder.path)
    let shown = Shown()
    let backend = RealtimeServer(server.endpoint, apiKey: server.apiKey.text)
    let publishing = publish(with: backend, shown)

    // Two runs of an application, one after the other.
    for run in 1...2 {
      let client = RealtimeClient(options)
      let reading = Task { await shown.read(client) }
      try await client.connect(userID: "ann", token: token(server, "ann"))
      try await showsWhatIsPublishedNow(shown)
      for _ in 0..<3 { try await killGateway(of: server) }
      try await showsWhatIsPublishedNow(shown)
      let answer = try await server.process.control("POST", "/workers/gateway/restart")
      #expect(answer.status == 200)
      try await waitUntil("run \(run) was sent on by the old generation") { shown.goaways >= run }
      await client.disconnect()
      try await client.connect()
      // What was taken last is processed when the sequence has ended; the next run goes on behind it.
      await client.shutdown()
      await reading.value
    }
    shown.end()
    try await publishing.value

    let client = RealtimeClient(options)
    let reading = Task { await shown.read(client) }
    try await client.connect(userID: "ann", token: token(server, "ann"))
    let all = shown.allPublished
    try await waitUntil("everything published was shown") { shown.count >= all.count }
    await client.shutdown()
    await reading.value
    #expect(shown.ids == all, "in order, nothing lost, nothing twice")
    #expect(shown.complaints == [])
    #expect(shown.recoveries > 0)
    await backend.close()
    try await server.stop()
  }

  /// Where WebSockets do not pass.
  @Test func overAStreamNothingIsLostAndNothingIsShownTwiceEither() async throws {
    let server = try await Self.start()
    var options = options(server, "phone")
    options.transports = [StreamTransport()]
    let shown = Shown()
    let backend = RealtimeServer(server.endpoint, apiKey: server.apiKey.text)
    let publishing = publish(with: backend, shown)
    let client = RealtimeClient(options)
    let reading = Task { await shown.read(client) }
    try await client.connect(userID: "ann", token: token(server, "ann"))
    #expect(await client.transportName == "sse")
    for _ in 0..<3 {
      try await showsWhatIsPublishedNow(shown)
      try await killGateway(of: server)
    }
    try await showsWhatIsPublishedNow(shown)
    let answer = try await server.process.control("POST", "/workers/gateway/restart")
    #expect(answer.status == 200)
    try await waitUntil("it was sent on by the old generation") { shown.goaways >= 1 }
    shown.end()
    try await publishing.value
    let all = shown.allPublished
    try await waitUntil("everything published was shown") { shown.count >= all.count }
    await client.shutdown()
    await reading.value
    #expect(shown.ids == all, "in order, nothing lost, nothing twice")
    #expect(shown.complaints == [])
    #expect(shown.recoveries >= 3)

    // How somebody is comes over a stream as well.
    let watching = RealtimeClient(options)
    try await watching.connect(userID: "bob", token: token(server, "bob"))
    var presence = watching.events(of: .presenceUpdate).makeAsyncIterator()
    try await watching.watchPresence(of: ["ann"])
    #expect(await presence.next()?.presence?.userID == "ann")
    await watching.shutdown()
    await backend.close()
    try await server.stop()
  }

  @Test func tellsWhatWasDoneOfflineInOrderAndOnce() async throws {
    let server = try await Self.start()
    let folder = TestFolder()
    let bob = RealtimeClient(options(server, "tablet", topics: ["chat:c1"]))
    try await bob.connect(userID: "bob", token: token(server, "bob"))
    var heard = bob.events(of: .chatMessage).makeAsyncIterator()

    // Three things said offline, of which the program's end takes nothing.
    let ann = RealtimeClient(options(server, "phone", topics: ["chat:c1"]))
    try await ann.connect(userID: "ann", token: token(server, "ann"))
    await ann.disconnect()
    var ids: [String] = []
    do {
      let outbox = Outbox(ann, store: try FileOutboxStore(path: folder.path + "/outbox"))
      for text in ["one", "two"] {
        ids.append(try await outbox.publish(EventDraft(.chatMessage, to: .topic("chat:c1"), payload: note(text))))
      }
      await outbox.close()
    }
    await ann.shutdown()

    let again = RealtimeClient(options(server, "phone", topics: ["chat:c1"]))
    let outbox = Outbox(again, store: try await storeWhenFree(folder.path + "/outbox"))
    try await again.connect(userID: "ann", token: token(server, "ann"))
    ids.append(try await outbox.publish(EventDraft(.chatMessage, to: .topic("chat:c1"), payload: note("three"))))
    var got: [String] = []
    while got.count < 3, let event = await heard.next() { got.append(event.eventID) }
    #expect(got == ids)
    try await waitUntil("nothing is left to be told") { try await outbox.pending().isEmpty }

    // The gateway dies under a call: it goes over HTTP when there is somebody again, and is kept once.
    try await killGateway(of: server)
    ids.append(try await outbox.publish(EventDraft(.chatMessage, to: .topic("chat:c1"), payload: note("four"))))
    let fourth = try #require(await heard.next())
    #expect(fourth.eventID == ids[3])
    await outbox.close()
    await again.shutdown()
    await bob.shutdown()
    try await server.stop()
  }

  @Test func callsTokensPresenceAndPolls() async throws {
    let server = try await Self.start()
    let bob = RealtimeClient(options(server, "tablet", topics: ["chat:c1"]))
    try await bob.connect(userID: "bob", token: token(server, "bob"))
    var presence = bob.events(of: .presenceUpdate).makeAsyncIterator()
    try await bob.watchPresence(of: ["ann"])
    #expect(await presence.next()?.presence?.userID == "ann")

    // A token that is refused is refreshed by force, once; one that ends within a minute is replaced on the connection.
    let asked = Mutex<[Bool]>([])
    let ann = RealtimeClient(options(server, "phone", topics: ["chat:c1", "chat:c2"]))
    try await ann.connect(
      userID: "ann",
      token: .provider { force in
        let count = asked.withLock {
          $0.append(force)
          return $0.count
        }
        return count == 1 ? "nonsense" : server.token("ann", chats: ["c1"], lifetime: count == 2 ? 62 : 3_600)
      })
    try await waitUntil("the token was replaced") { asked.withLock { $0.count } >= 3 }
    #expect(asked.withLock { $0 } == [false, true, true])
    #expect(await ann.reconnectAttempts == 0)

    // Calls over the socket, and over HTTP where there is none.
    let mine = try await ann.updatePresence(PresenceUpdate(status: .set(.busy), customStatus: .set("at work")))
    #expect(mine.status == .busy)
    while let told = await presence.next()?.presence {
      if told.1.status == .busy { break }
    }
    #expect(try await bob.presence(of: ["ann", "nobody"]).mapValues(\.status) == ["ann": .busy, "nobody": .offline])
    var typing = bob.events(of: .typingIndicator).makeAsyncIterator()
    try await ann.sendTyping(in: "c1")
    #expect(await typing.next()?.sourceUserID == "ann")
    let message = JSONText { json in
      json.object {
        $0.member("chatId", "c1")
        $0.member("messageId", "m1")
      }
    }
    let draft = EventDraft(.chatMessage, to: .topic("chat:c1"), payload: message)
    let first = try await ann.publish(draft)
    #expect(!first.isDuplicate)
    #expect(try await bob.sendReadReceipt(in: "c1", upTo: "m1").markedCount == 1)
    #expect(try await bob.markChatAsRead("c1").markedCount == 0)
    await #expect(throws: ClientError.self) {
      try await ann.publish(EventDraft(.chatMessage, to: .topic("chat:c2"), payload: message))
    }
    await ann.disconnect()
    #expect(try await ann.publish(draft).isDuplicate, "the same id again, over HTTP")
    let answer = try await bob.subscribe(to: ["chat:c9", "user:bob", "presence:eve"])
    #expect(answer.denied.map(\.topic) == ["chat:c9"])

    // Where WebSockets do not pass.
    var polled = options(server, "slow")
    polled.transports = [PollTransport()]
    let eve = RealtimeClient(polled)
    try await eve.connect(userID: "eve", token: token(server, "eve"))
    let backend = RealtimeServer(server.endpoint, apiKey: server.apiKey.text)
    let toEve = try await backend.broadcastToUsers(
      ["eve", "zoe"], EventDraft(.notification, to: .none, payload: note("by poll")))
    #expect(toEve.recipients == 2)
    var events = eve.events.makeAsyncIterator()
    #expect(await events.next()?.eventID == toEve.eventID)
    try await backend.publishRealtimeEvent(EventDraft(.notification, to: .user("eve"), payload: note("two")))
    #expect(await events.next()?.payload == note("two"))

    for client in [ann, bob, eve] { await client.shutdown() }
    await backend.close()
    try await server.stop()
  }

  @Test(.enabled(if: Needs.tool("openssl"), "needs openssl")) func speaksTLSAndTrustsOnlyWhomItIsToldTo() async throws {
    let folder = TestFolder()
    let openssl = try await TestProcess.start(
      try #require(Needs.path(of: "openssl")),
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout", "\(folder.path)/tls.key", "-out", "\(folder.path)/tls.crt",
      ])
    let ending = try await openssl.ending()
    try #require(ending == .exit(0), "\(openssl.output)")
    let server = try await RunningServer.start(
      document: """
        workers:
          gateway:
            sockets:
              client-tls: {listen: "127.0.0.1:0", per_instance: true, encrypted: true}
            settings:
              tls: {certificate: \(folder.path)/tls.crt, key: \(folder.path)/tls.key}
        """)
    let port = try await server.process.address(of: "client-tls", worker: "gateway").port
    let trusting = TransportSecurity(trustRootsFile: "\(folder.path)/tls.crt")
    let url = "https://localhost:\(port)"
    let backend = RealtimeServer(try #require(Endpoint(url: url)), apiKey: server.apiKey.text, security: trusting)

    // By name over a WebSocket and a stream, by address over polls.
    for (url, transport) in [
      (url, WebSocketTransport(security: trusting)), (url, StreamTransport(security: trusting)),
      ("https://127.0.0.1:\(port)", PollTransport(security: trusting)),
    ] as [(String, any RealtimeTransport)] {
      var options = try ClientOptions(url: url, deviceID: transport.name)
      options.transports = [transport]
      options.security = trusting
      let client = RealtimeClient(options)
      try await client.connect(userID: transport.name, token: token(server, transport.name))
      let result = try await backend.publishRealtimeEvent(
        EventDraft(.notification, to: .user(transport.name), payload: note("private")))
      var events = client.events.makeAsyncIterator()
      #expect(await events.next()?.eventID == result.eventID)
      await client.shutdown()
    }

    // A certificate that nobody vouches for.
    var options = try ClientOptions(url: url)
    options.transports = [WebSocketTransport()]
    options.reconnectAttemptsMax = 0
    let stranger = RealtimeClient(options)
    await #expect(throws: ClientError.disconnected(.maxAttempts)) {
      try await stranger.connect(userID: "ann", token: token(server, "ann"))
    }
    #expect(await stranger.lastEnding.text.lowercased().contains("certificate"))
    await stranger.shutdown()
    await backend.close()
    try await server.stop()
  }

  // MARK: - Steps

  /// Notifies ann of something, again and again, until what is shown is over.
  private func publish(with backend: RealtimeServer, _ shown: Shown) -> Task<Void, any Error> {
    Task {
      var backend = backend
      backend.retries = 1_000
      var number = 0
      while !shown.isOver {
        let event = EventDraft(.notification, to: .user("ann"), payload: note("\(number)"), eventID: "evt-\(number)")
        number += 1
        _ = try await backend.publishRealtimeEvent(event)
        shown.published(event.eventID)
      }
    }
  }

  /// One that is published now and shown came over a connection that is there now.
  private func showsWhatIsPublishedNow(_ shown: Shown) async throws {
    let now = shown.allPublished.count
    try await waitUntil("what is published is shown") { shown.count > now + 1 }
  }

  /// After a replacement the gateway is in another slot, and for a while there are two.
  private func killGateway(of server: RunningServer) async throws {
    let isThere: @Sendable (ServerProcess.Status.Instance) -> Bool = {
      $0.role == "serving" && $0.pid != nil && $0.state == "ready"
    }
    try await server.process.wait(for: "the gateway to be there") {
      $0.instances(of: "gateway").contains(where: isThere)
    }
    let pid = try #require(try await server.process.status().instances(of: "gateway").first(where: isThere)?.pid)
    _ = kill(pid, SIGKILL)
    try await server.process.wait(for: "the gateway to be ready again") { status in
      status.instances(of: "gateway").contains { isThere($0) && $0.pid != pid }
    }
  }

  /// The outbox of the run before has its file until its last task is over.
  private func storeWhenFree(_ path: String) async throws -> FileOutboxStore {
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      do {
        return try FileOutboxStore(path: path)
      } catch {
        guard ContinuousClock.now < deadline else { throw error }
        try await Task.sleep(for: .milliseconds(10))
      }
    }
  }
}
