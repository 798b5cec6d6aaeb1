import AvaloCore
import Synchronization
import Testing

@testable import AvaloClient

@Suite(.timeLimit(.minutes(1))) struct PollTransportTests {
  /// A page of one topic, one of the other, a gap: only what comes behind the first answer with nothing is no replay.
  @Test func theReplayLastsUntilNothingMoreIsThere() async throws {
    func event(_ topic: String, _ offset: Int) -> String {
      #"{"eventId":"\#(topic)-\#(offset)","type":"chat_message","payload":{},"timestamp":1,"topic":"\#(topic)","offset":\#(offset)}"#
    }
    func answer(_ user: Int, _ chat: Int, events: [String] = [], more: String = "") -> String {
      #"{"result":{"success":true,"events":[\#(events.joined(separator: ","))]\#(more),"#
        + #""cursor":"chat:c=0000000000000001.\#(chat),user:u=0000000000000001.\#(user)"}}"#
    }
    let answers = [
      answer(6, 3, events: [event("user:u", 5), event("user:u", 6)]), answer(6, 4, events: [event("chat:c", 4)]),
      answer(8, 4, more: #","gaps":[{"topic":"user:u","from":7,"to":8,"reason":"expired"}]"#), answer(8, 4),
      answer(9, 4, events: [event("user:u", 9)]),
    ]
    let polls = Mailbox<String>()
    let count = Mutex(0)
    let server = try await TestServer.start { peer, happening in
      guard case .request(let request) = happening else { return }
      if request.target == "/subscribeToRealtimeEventsV1" {
        return peer.reply(
          200,
          #"{"result":{"enabled":true,"connectionId":"c9","cursor":"chat:c=0000000000000001.3,user:u=0000000000000001.4","#
            + #""subscriptions":["user:u","chat:c"],"denied":[]}}"#)
      }
      polls.put(String(decoding: request.body, as: UTF8.self))
      let number = count.withLock {
        $0 += 1
        return $0
      }
      if number <= answers.count { peer.reply(200, answers[number - 1]) }
    }
    let epoch = Epoch(rawValue: 1)
    var options = ClientOptions(server.endpoint, deviceID: "d", topics: ["chat:c"])
    options.transports = [PollTransport()]
    options.cursors = FakeCursors([
      "user:u": Position(epoch: epoch, offset: 4), "chat:c": Position(epoch: epoch, offset: 3),
    ])
    let client = RealtimeClient(options)
    try await client.connect(userID: "u", token: .fixed("t"))
    var told: [String] = []
    var updates = client.updates.makeAsyncIterator()
    while told.last != "new user:u-9", let update = await updates.next() {
      switch update {
      case .event(let event): told.append("\(event.isReplay ? "replayed" : "new") \(event.eventID)")
      case .gap(let gap): told.append("gap \(gap.topic)")
      case .recovered(let topic, let events): told.append("recovered \(topic) \(events)")
      case .live(let topic, let head): told.append("live \(topic) \(head.offset)")
      case .hole: told.append("hole")
      default: break
      }
    }
    #expect(
      told == [
        "replayed user:u-5", "replayed user:u-6", "replayed chat:c-4", "gap user:u", "recovered chat:c 1",
        "live chat:c 4", "live user:u 8", "new user:u-9",
      ])
    for hold in [0, 0, 0, 0, 25_000] { #expect(try await polls.next().contains(#""holdMs":\#(hold),"#)) }
    await client.shutdown()
    try await server.stop()
  }

  /// Two answers, then polls are held.
  @Test func asksAgainWhenWhatCameIsProcessed() async throws {
    let polls = Mailbox<String>()
    let server = try await TestServer.start { peer, happening in
      guard case .request(let request) = happening else { return }
      if request.target == "/subscribeToRealtimeEventsV1" {
        return peer.reply(
          200,
          #"{"result":{"enabled":true,"connectionId":"c9","cursor":"user:u=0000000000000001.4","subscriptions":["user:u"],"denied":[]}}"#
        )
      }
      let body = String(decoding: request.body, as: UTF8.self)
      polls.put(body)
      guard body.contains(".4\"") else { return }
      peer.reply(
        200,
        #"{"result":{"success":true,"events":[{"eventId":"e5","type":"chat_message","payload":{},"timestamp":1,"topic":"user:u","offset":5}],"cursor":"user:u=0000000000000001.5"}}"#
      )
    }
    var options = ClientOptions(server.endpoint, deviceID: "d")
    options.transports = [PollTransport()]
    let client = RealtimeClient(options)
    try await client.connect(userID: "u", token: .fixed("t"))
    #expect(await client.transportName == "poll")
    // What there is already is told at once.
    #expect(try await polls.next().contains(#""cursor":"user:u=0000000000000001.4","holdMs":0"#))
    var events = client.events.makeAsyncIterator()
    let event = try #require(await events.next())
    #expect(event.eventID == "e5")
    // Asking for the next one says that it is processed.
    let more = Task { await client.events.first { _ in true } }
    await events.finishCurrent()
    #expect(try await polls.next().contains(#""cursor":"user:u=0000000000000001.5","holdMs":0"#))
    more.cancel()
    await client.shutdown()
    try await server.stop()
  }

  @Test func tellsARefusalAsAStatus() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .request = happening else { return }
      peer.reply(401, #"{"error":{"status":"UNAUTHENTICATED","message":"no"}}"#)
    }
    var options = ClientOptions(server.endpoint)
    options.transports = [PollTransport()]
    let client = RealtimeClient(options)
    await #expect(throws: ClientError.disconnected(.unauthenticated)) {
      try await client.connect(userID: "u", token: .fixed("t"))
    }
    await client.shutdown()
    try await server.stop()
  }
}
