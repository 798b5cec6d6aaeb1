import AvaloClient
import AvaloCore
import AvaloTesting
import Testing

/// What loops over single types read, and what the server knows of it, with a whole server.
@Suite(.serialized) struct SwiftClientReadersTests {
  private func draft(_ type: EventType, _ id: String) -> EventDraft {
    EventDraft(type, to: .user("ann"), payload: .emptyObject, eventID: id)
  }

  @Test func everyLoopGetsItsEventsAndTheServerHearsOfItOverTheNextConnection() async throws {
    let server = try await RunningServer.start()
    let backend = RealtimeServer(server.endpoint, apiKey: server.apiKey.text)
    var options = ClientOptions(server.endpoint, deviceID: "phone")
    options.reconnectIntervalMilliseconds = 50
    options.reconnectAttemptsMax = 1_000
    let token = TokenSource.provider { _ in server.token("ann", chats: []) }
    try await backend.publishRealtimeEvent(draft(.notification, "n1"))
    try await backend.publishRealtimeEvent(draft(.chatMessage, "c1"))

    let client = RealtimeClient(options)
    try await client.connect(userID: "ann", token: token)
    var chats = client.events(of: .chatMessage).makeAsyncIterator()
    #expect(await chats.next()?.eventID == "c1")
    await chats.finishCurrent()
    // Everything has passed the only loop there is.
    var notes = client.events(of: .notification).makeAsyncIterator()
    #expect(await notes.next()?.eventID == "n1")

    // Processed while there is no connection.
    var states = await client.states.makeAsyncIterator()
    let answer = try await server.process.control("POST", "/workers/gateway/restart")
    #expect(answer.status == 200)
    while let state = await states.next(), state != .reconnecting {}
    await notes.finishCurrent()
    var updates = client.updates.makeAsyncIterator()
    var isLost = false
    while let update = await updates.next() {
      if update == .state(.reconnecting) { isLost = true }
      if isLost, case .live(topic: "user:ann", _) = update { break }
    }
    await client.shutdown()

    // The next run of the device, which keeps nothing itself.
    try await backend.publishRealtimeEvent(draft(.notification, "n2"))
    let again = RealtimeClient(options)
    try await again.connect(userID: "ann", token: token)
    var events = again.events.makeAsyncIterator()
    #expect(await events.next()?.eventID == "n2")
    await again.shutdown()
    await backend.close()
    try await server.stop()
  }

  @Test func whatWasProcessedOverAStreamOrPollsIsAcknowledgedAtTheEndAndMissedEventsAreAReplay() async throws {
    let server = try await RunningServer.start(environment: [
      "AVALO_WORKERS__GATEWAY__SETTINGS__TOPICS__CHAT__SUBSCRIBE": "members"
    ])
    let backend = RealtimeServer(server.endpoint, apiKey: server.apiKey.text)
    for transport in [StreamTransport(), PollTransport()] as [any RealtimeTransport] {
      let user = "user-\(transport.name)"
      var options = ClientOptions(server.endpoint, deviceID: "phone")
      options.transports = [transport]
      for id in ["n1", "n2"] {
        try await backend.publishRealtimeEvent(
          EventDraft(.notification, to: .user(user), payload: .emptyObject, eventID: id))
        // Each run keeps nothing itself.
        let client = RealtimeClient(options)
        try await client.connect(userID: user, token: .fixed(server.token(user, chats: [])))
        var events = client.events.makeAsyncIterator()
        #expect(await events.next()?.eventID == id, "over \(transport.name)")
        await events.finishCurrent()
        await client.shutdown()
      }
      try await leavesATopic(server, backend, transport)
    }
    try await missesEventsOfTwoTopics(server, backend)
    await backend.close()
    try await server.stop()
  }

  private func live(_ topic: String, _ updates: inout RealtimeUpdates<RealtimeUpdate>.Iterator) async {
    while let update = await updates.next() { if case .live(topic, _) = update { return } }
  }

  /// The device goes on in it behind what was processed, whoever is subscribed to it next.
  private func leavesATopic(
    _ server: RunningServer, _ backend: RealtimeServer, _ transport: any RealtimeTransport
  ) async throws {
    let (user, chat) = ("leaver-\(transport.name)", "chat:\(transport.name)")
    var options = ClientOptions(server.endpoint, deviceID: "phone", topics: [chat])
    options.transports = [transport]
    for id in ["c1", "c2"] {
      let client = RealtimeClient(options)
      var updates = client.updates.makeAsyncIterator()
      if id == "c2" {
        // Missed by the device: what it is told first comes behind what it had.
        try await backend.publishRealtimeEvent(
          EventDraft(.notification, to: .topic(chat), payload: .emptyObject, eventID: id))
      }
      try await client.connect(
        userID: user, token: .fixed(server.token(user, chats: [transport.name])))
      if id == "c1" {
        await live(chat, &updates)
        try await backend.publishRealtimeEvent(
          EventDraft(.notification, to: .topic(chat), payload: .emptyObject, eventID: id))
      }
      while let update = await updates.next() {
        guard case .event(let event) = update, event.topic == chat else { continue }
        #expect(event.eventID == id, "over \(transport.name)")
        break
      }
      await updates.finishCurrent()
      try await client.unsubscribe(from: [chat])
      await client.shutdown()
    }
  }

  /// More than an answer has room for.
  private func missesEventsOfTwoTopics(_ server: RunningServer, _ backend: RealtimeServer) async throws {
    var options = ClientOptions(server.endpoint, deviceID: "phone", topics: ["chat:busy"])
    options.transports = [PollTransport()]
    let client = RealtimeClient(options)
    var updates = client.updates.makeAsyncIterator()
    try await client.connect(userID: "ann", token: .fixed(server.token("ann", chats: ["busy"])))
    await live("user:ann", &updates)
    // Where both begin counts when it was read.
    await updates.finishCurrent()
    await client.disconnect()
    let missed = 150
    try await withThrowingTaskGroup(of: Void.self) { group in
      for topic in ["user:ann", "chat:busy"] {
        group.addTask {
          for _ in 0..<missed {
            try await backend.publishRealtimeEvent(
              EventDraft(.notification, to: .topic(topic), payload: .emptyObject))
          }
        }
      }
      try await group.waitForAll()
    }
    try await client.connect()
    var (replayed, recovered) = (0, [Int]())
    loop: while let update = await updates.next() {
      switch update {
      case .event(let event) where event.isReplay: replayed += 1
      case .recovered(_, let events): recovered.append(events)
      // The last that is told.
      case .live(topic: "user:ann", _): break loop
      default: break
      }
    }
    #expect(replayed == 2 * missed)
    #expect(recovered == [missed, missed])
    await client.shutdown()
  }
}
