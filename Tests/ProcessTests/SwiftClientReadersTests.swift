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

  @Test func whatWasProcessedOverAStreamOrPollsIsAcknowledgedAtTheEnd() async throws {
    let server = try await RunningServer.start()
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
    }
    await backend.close()
    try await server.stop()
  }
}
