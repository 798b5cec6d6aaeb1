import AvaloCore
import Synchronization
import Testing

@testable import AvaloClient

/// One user after the other on one client.
@Suite(.timeLimit(.minutes(1))) struct UserSwitchTests {
  let world = RealtimeClientTests()

  /// A server that answers every call over HTTP, and the credentials of those.
  private final class Answering: Sendable {
    let seen = Mutex<[String]>([])

    func start() async throws -> TestServer {
      try await TestServer.start { [self] peer, happening in
        guard case .request(let request) = happening else { return }
        seen.withLock { $0.append(request.headers.first { $0.name == "authorization" }?.value ?? "") }
        peer.reply(200, #"{"result":{}}"#)
      }
    }
  }

  private func connect(_ client: RealtimeClient, as user: String) async throws -> FakeLink {
    async let connecting: Void = client.connect(userID: user, token: .fixed("of \(user)"))
    let link = try await world.transport.openings.next()
    try link.ready(user, topics: ["user:\(user)"])
    try await connecting
    return link
  }

  @Test func aCallIsNeverMadeAsTheNextUser() async throws {
    let answering = Answering()
    let server = try await answering.start()
    let client = try world.make { $0.endpoint = server.endpoint }
    let link = try await connect(client, as: "u")
    let call = Task { try await client.call("f") }
    _ = try await link.said()
    _ = try await connect(client, as: "v")
    await #expect(throws: ClientError.disconnected(.client)) { _ = try await call.value }
    #expect(answering.seen.withLock { $0 } == [])
    // Over HTTP everybody is who they are.
    await client.disconnect()
    _ = try await client.call("f")
    #expect(answering.seen.withLock { $0 } == ["Bearer of v"])
    await client.shutdown()
    try await server.stop()
  }

  @Test func aRefusedTokenIsReplacedByOneOfTheSameUserAndKeptByNobodyElse() async throws {
    let seen = Mailbox<(token: String, peer: TestPeer)>()
    let server = try await TestServer.start { peer, happening in
      guard case .request(let request) = happening else { return }
      seen.put((request.headers.first { $0.name == "authorization" }?.value ?? "", peer))
    }
    let client = try world.make { $0.endpoint = server.endpoint }
    let connecting = Task {
      try await client.connect(userID: "u", token: .provider { forced in forced ? "new of u" : "of u" })
    }
    let link = try await world.transport.openings.next()
    link.end(1006)
    try await until { await client.machine.phase == .waiting }
    let call = Task { try await client.call("f") }
    let first = try await seen.next()
    #expect(first.token == "Bearer of u")
    _ = try await connect(client, as: "v")
    first.peer.reply(401, #"{"error":{"status":"UNAUTHENTICATED","message":"old"}}"#)
    let second = try await seen.next()
    #expect(second.token == "Bearer new of u")
    second.peer.reply(200, #"{"result":{}}"#)
    _ = try await call.value
    #expect(await client.lastToken == "of v")
    await #expect(throws: ClientError.disconnected(.client)) { try await connecting.value }
    await client.shutdown()
    try await server.stop()
  }

  @Test func whatWaitsInTheOutboxIsToldAsWhoeverSaidIt() async throws {
    let answering = Answering()
    let server = try await answering.start()
    let client = try world.make { $0.endpoint = server.endpoint }
    let link = try await connect(client, as: "u")
    let outbox = Outbox(client)
    try await outbox.markChatAsRead("c")
    _ = try await link.said()
    _ = try await connect(client, as: "v")
    #expect(try await outbox.pending() == [])
    let again = try await connect(client, as: "u")
    #expect(try await again.said().contains("markChatAsReadV1"))
    #expect(answering.seen.withLock { $0 } == [])
    await client.shutdown()
    try await server.stop()
  }

  // MARK: Positions

  /// Lets pass when it is opened.
  private final class Gate: Sendable {
    private let stream: AsyncStream<Void>
    private let end: AsyncStream<Void>.Continuation

    init() { (stream, end) = AsyncStream.makeStream(of: Void.self) }

    func open() { end.finish() }
    func pass() async { for await _ in stream {} }
  }

  /// Positions that are read and saved when the test lets them.
  private final class HeldCursors: CursorStore {
    struct Save: Sendable {
      var what: String
      var gate = Gate()
    }
    let loads = Mailbox<Gate>()
    let saves = Mailbox<Save>()

    func load(user: String, device: String?) async throws -> [String: Position] {
      let gate = Gate()
      loads.put(gate)
      await gate.pass()
      return [:]
    }

    func save(_ positions: [String: Position], user: String, device: String?) async throws {
      let save = Save(what: "\(user) \(positions.values.map(\.offset))")
      saves.put(save)
      await save.gate.pass()
    }
  }

  @Test func disconnectedWhilePositionsAreReadStaysSo() async throws {
    let cursors = HeldCursors()
    let client = try world.make { $0.cursors = cursors }
    let connecting = Task { try await client.connect(userID: "u", token: .fixed("t")) }
    let gate = try await cursors.loads.next()
    await client.disconnect()
    gate.open()
    await #expect(throws: ClientError.disconnected(.client)) { try await connecting.value }
    #expect(await client.state == .disconnected(.client))
    #expect(await client.userID == nil)
  }

  @Test func theLastPositionsOfOneUserAndTheFirstOfTheNextAreSaved() async throws {
    let cursors = HeldCursors()
    let client = try world.make { $0.cursors = cursors }
    var events = client.events.makeAsyncIterator()
    func process(_ link: FakeLink, _ offset: Int, of user: String) async throws {
      try link.event(offset, topic: "user:\(user)", epoch: "1")
      #expect(await events.next()?.eventID == "user:\(user)-\(offset)")
      await events.finishCurrent()
    }
    async let first = connect(client, as: "u")
    try await cursors.loads.next().open()
    let link = try await first
    async let second = connect(client, as: "v")
    let gate = try await cursors.loads.next()
    // A save that takes until the other user is there.
    try await process(link, 1, of: "u")
    world.clock.advance(by: 50)
    let slow = try await cursors.saves.next()
    #expect(slow.what == "u [1]")
    try await process(link, 2, of: "u")
    gate.open()
    let other = try await second
    try await process(other, 7, of: "v")
    await client.flushAcknowledgements()
    slow.gate.open()
    var saved: Set<String> = []
    for _ in 0..<2 {
      let save = try await cursors.saves.next()
      saved.insert(save.what)
      save.gate.open()
    }
    #expect(saved == ["u [2]", "v [7]"])
    await client.waitUntilSaved()
  }

  // MARK: What is told of time and topics

  @Test func anotherUserHasNeitherTheTopicsNorTheTypingOfTheOneBefore() async throws {
    let client = try world.make { $0.topics = ["chat:all"] }
    let link = try await connect(client, as: "u")
    async let subscribed = client.subscribe(to: ["chat:private"])
    _ = try await link.said()
    try link.say(#"{"id":1,"result":{"subscriptions":["chat:private"],"denied":[]}}"#)
    _ = try await subscribed
    async let typed: Void = client.sendTyping(in: "all")
    #expect(try await link.said().contains("sendTypingIndicatorV1"))
    try link.say(#"{"id":2,"result":{"success":true}}"#)
    try await typed
    let other = try await connect(client, as: "v")
    #expect(other.opening.request.subscriptions == ["user:v", "chat:all"])
    async let typing: Void = client.sendTyping(in: "all")
    #expect(try await other.said().contains("sendTypingIndicatorV1"))
    try other.say(#"{"id":3,"result":{"success":true}}"#)
    try await typing
  }

  @Test func nobodyIsToldToStayAwayForEver() async throws {
    let client = try world.make()
    let link = try await connect(client, as: "u")
    link.end(4000, retryAfter: .max)
    try await until { await client.machine.phase == .waiting }
    #expect(await client.machine.due == world.clock.now + Int64(ClientLimits.retryAfterMaxMilliseconds))
  }

  @Test func aTopicThatIsWantedWhileAPollBeginsIsNotForgotten() async throws {
    let poll = FakeTransport("lesser", isDuplex: false)
    let client = try world.make { $0.transports = [poll] }
    let connecting = Task { try await client.connect(userID: "u", token: .fixed("t")) }
    let link = try await poll.openings.next()
    _ = try await client.subscribe(to: ["chat:c"])
    try link.ready()
    let again = try await poll.openings.next()
    #expect(again.opening.request.subscriptions == ["user:u", "chat:c"])
    try again.ready()
    try await connecting.value
    try await until { await client.state == .connected }
  }
}
