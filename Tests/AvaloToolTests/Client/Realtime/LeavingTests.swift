import AvaloCore
import Synchronization
import Testing

@testable import AvaloClient

/// What the server hears of what was processed when no connection tells it any more.
@Suite(.timeLimit(.minutes(1))) struct LeavingTests {
  let world = RealtimeClientTests()
  let stream = FakeTransport("sse", isDuplex: false, isPolled: false)
  let polled = Polled()

  /// A server that is asked over HTTP. Polls come one by one.
  final class Polled: Sendable {
    struct Poll: Sendable {
      var token: String
      var data: String
    }
    let polls = Mailbox<Poll>()
    private let total = Mutex(0)
    /// Polls that came.
    var count: Int { total.withLock { $0 } }

    /// - `answers`: polls, too.
    func start(answers: Bool = true) async throws -> TestServer {
      try await TestServer.start { [self] peer, happening in
        guard case .request(let request) = happening else { return }
        guard request.target == "/realtimePingV1" else { return peer.reply(200, #"{"result":{}}"#) }
        total.withLock { $0 += 1 }
        let token = request.headers.first { $0.name == "authorization" }?.value ?? ""
        polls.put(Poll(token: token, data: String(decoding: request.body, as: UTF8.self)))
        if answers { peer.reply(200, #"{"result":{"success":true,"events":[],"cursor":"user:u"}}"#) }
      }
    }
  }

  private func make(
    _ server: TestServer, over transport: FakeTransport, topics: [String] = []
  ) throws -> RealtimeClient {
    try world.make {
      $0.endpoint = server.endpoint
      $0.transports = [transport]
      $0.topics = topics
    }
  }

  private func connect(
    _ client: RealtimeClient, over transport: FakeTransport, as user: String = "u"
  ) async throws -> FakeLink {
    async let connecting: Void = client.connect(userID: user, token: .fixed("of \(user)"))
    let link = try await transport.openings.next()
    try link.ready(user, topics: ["user:\(user)"])
    try await connecting
    return link
  }

  private func process(
    _ client: RealtimeClient, _ link: FakeLink, _ offset: Int = 1, of topic: String = "user:u"
  ) async throws {
    try link.event(offset, topic: topic, epoch: "1")
    var events = client.events.makeAsyncIterator()
    #expect(await events.next()?.eventID == "\(topic)-\(offset)")
    await events.finishCurrent()
  }

  private func lose(_ client: RealtimeClient, _ link: FakeLink) async throws {
    link.end(1006)
    try await until { await client.machine.phase == .waiting }
  }

  private func word(_ topic: String, _ offset: Int, hold: Int, connection: String = "") -> String {
    #"{"data":{\#(connection)"cursor":"\#(topic)=0000000000000001.\#(offset)","holdMs":\#(hold),"deviceId":"d"}}"#
  }

  // MARK: When it is said

  @Test func isSaidOnceAfterAStreamThatWasLost() async throws {
    let server = try await polled.start()
    let client = try make(server, over: stream)
    let link = try await connect(client, over: stream)
    try await process(client, link)
    // Taken, and not processed.
    try link.event(2)
    var events = client.events.makeAsyncIterator()
    #expect(await events.next()?.offset == 2)
    try await lose(client, link)
    await client.disconnect()
    let poll = try await polled.polls.next()
    #expect(poll.token == "Bearer of u")
    #expect(poll.data == word("user:u", 1, hold: 1_000))
    await client.shutdown()
    #expect(polled.count == 1)
    try await server.stop()
  }

  /// That a connection is asked for with these positions says nothing yet; that it is there does.
  @Test func whatTheNextStreamBeganWithIsNotSaidAgain() async throws {
    let server = try await polled.start()
    let client = try make(server, over: stream)
    let link = try await connect(client, over: stream)
    try await process(client, link)
    try await lose(client, link)
    world.clock.advance(by: 30_000)
    let again = try await stream.openings.next()
    #expect(again.opening.request.positions["user:u"]?.offset == 1)
    #expect(await client.acknowledgements.untold.mapValues(\.offset) == ["user:u": 1])
    try again.ready()
    try await until { await client.state == .connected }
    await client.shutdown()
    #expect(polled.count == 0)
    try await server.stop()
  }

  @Test func isSaidAsWhoeverProcessedIt() async throws {
    let server = try await polled.start()
    let client = try make(server, over: stream)
    let link = try await connect(client, over: stream)
    try await process(client, link)
    try await lose(client, link)
    _ = try await connect(client, over: stream, as: "v")
    #expect(try await polled.polls.next().token == "Bearer of u")
    await client.shutdown()
    #expect(polled.count == 1)
    try await server.stop()
  }

  @Test func afterAWebSocketOnlyWhatWasLostWithItIsSaid() async throws {
    let server = try await polled.start()
    let client = try make(server, over: world.transport)
    let link = try await connect(client, over: world.transport)
    try link.live(0)
    try await process(client, link)
    await client.disconnect()
    #expect(try await link.said().contains(#""offset":1"#))
    async let connecting: Void = client.connect()
    let again = try await world.transport.openings.next()
    try again.ready()
    try again.live(1)
    try await connecting
    try await process(client, again, 2)
    #expect(polled.count == 0)
    try await lose(client, again)
    await client.shutdown()
    #expect(try await polled.polls.next().data == word("user:u", 2, hold: 1_000))
    #expect(polled.count == 1)
    try await server.stop()
  }

  @Test func afterPollsItTakesThePlaceOfTheOneThatIsHeld() async throws {
    let poll = FakeTransport("poll", isDuplex: false)
    let server = try await polled.start()
    let client = try make(server, over: poll)
    let link = try await connect(client, over: poll)
    try await process(client, link)
    await client.shutdown()
    #expect(try await polled.polls.next().data == word("user:u", 1, hold: 0, connection: #""connectionId":"c1","#))
    try await server.stop()
  }

  @Test func asManyTopicsAsAPollMayHaveAreSaidByOne() {
    let position = Position(epoch: Epoch(rawValue: 1), offset: 7)
    let all = Dictionary(uniqueKeysWithValues: (10..<75).map { ("chat:\($0)", position) })
    let cursors = PollAnswer.cursors(all)
    #expect(cursors.map { PollAnswer.positions($0).count } == [32, 32, 1])
    #expect(cursors.last == "chat:74=0000000000000001.7")
    #expect(PollAnswer.cursors([:]) == [])
  }

  // MARK: Topics that are left

  @Test func overAStreamItIsSaidBehindTheConnectionThatHadThem() async throws {
    let server = try await polled.start()
    let client = try make(server, over: stream, topics: ["chat:c"])
    let link = try await connect(client, over: stream)
    try await process(client, link, of: "chat:c")
    try await client.unsubscribe(from: ["chat:c"])
    let again = try await stream.openings.next()
    #expect(again.opening.request.subscriptions == ["user:u"])
    #expect(try await polled.polls.next().data == word("chat:c", 1, hold: 1_000))
    await client.shutdown()
    #expect(polled.count == 1)
    try await server.stop()
  }

  @Test func overAWebSocketItIsSentBeforeTheyAreLeft() async throws {
    let client = try world.make { $0.topics = ["chat:c"] }
    let link = try await connect(client, over: world.transport)
    try await process(client, link, of: "chat:c")
    async let left: Void = client.unsubscribe(from: ["chat:c"])
    #expect(try await link.said() == #"{"ack":[{"topic":"chat:c","epoch":"0000000000000001","offset":1}]}"#)
    #expect(try await link.said().contains(#""call":"unsubscribe""#))
    try link.say(#"{"id":1,"result":{"success":true}}"#)
    try await left
    await client.shutdown()
  }

  // MARK: What waits for it

  @Test func holdsUpNoCallAndNoShutdownForLong() async throws {
    let server = try await polled.start(answers: false)
    let client = try make(server, over: stream)
    let link = try await connect(client, over: stream)
    try await process(client, link)
    let other = try await connect(client, over: stream, as: "v")
    _ = try await polled.polls.next()
    // That one is held still.
    _ = try await client.call("f")
    try await process(client, other, of: "user:v")
    let shutdown = Task { await client.shutdown() }
    // Theirs waits for it, in vain.
    try await until { await client.machine.phase == .idle }
    world.clock.advance(by: ClientLimits.lastWordMilliseconds)
    await shutdown.value
    #expect(polled.count == 1)
    try await server.stop()
  }
}
