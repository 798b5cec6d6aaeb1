import AvaloCore
import Synchronization
import Testing

@testable import AvaloClient

/// The whole client on a made-up clock and transport.
@Suite(.timeLimit(.minutes(1))) struct RealtimeClientTests {
  let clock = ManualClock()
  let transport = FakeTransport()

  func make(_ change: (inout ClientOptions) -> Void = { _ in }) throws -> RealtimeClient {
    var options = try ClientOptions(url: "http://127.0.0.1:9", deviceID: "d")
    options.transports = [transport]
    options.reconnectIntervalMilliseconds = 1_000
    change(&options)
    return RealtimeClient(options, clock: clock) { 0.5 }
  }

  /// A client that is connected, with the server's end of it; `lesser`: over another than the usual transport.
  func connected(
    _ client: RealtimeClient, token: TokenSource = .fixed("t"), over lesser: FakeTransport? = nil
  ) async throws -> FakeLink {
    async let connecting: Void = client.connect(userID: "u", token: token)
    let link = try await (lesser ?? transport).openings.next()
    try link.ready()
    try await connecting
    return link
  }

  /// The next attempt, after the delay that the client said.
  func next(_ client: RealtimeClient, over lesser: FakeTransport? = nil) async throws -> FakeLink {
    try await until { await client.machine.phase == .waiting }
    clock.advance(by: 30_000)
    return try await (lesser ?? transport).openings.next()
  }

  private func ids(_ iterator: inout RealtimeUpdates<RealtimeEvent>.Iterator, _ count: Int) async -> [String] {
    var found: [String] = []
    while found.count < count, let event = await iterator.next() { found.append(event.eventID) }
    return found
  }

  // MARK: Connecting

  @Test func connectsWithEverythingThatIsAskedFor() async throws {
    let client = try make {
      $0.topics = ["chat:c"]
      $0.platform = .ios
    }
    let link = try await connected(client)
    #expect(
      ClientFrame.connect(link.opening.request).text.description
        == #"{"connect":{"token":"t","deviceId":"d","platform":"ios","subscriptions":["user:u","chat:c"]}}"#)
    #expect(await client.state == .connected)
    #expect(await client.connectionID == "c1")
  }

  @Test func isSingleFlightWhoeverAsks() async throws {
    let client = try make()
    async let first: Void = client.connect(userID: "u", token: .provider { _ in "t" })
    let link = try await transport.openings.next()
    async let second: Void = client.connect(userID: "u", token: .provider { _ in "t" })
    async let third: Void = client.connect()
    try link.ready()
    _ = try await (first, second, third)
    // The next opening is the one after a loss.
    link.end(1006)
    let another = try await next(client)
    #expect(another !== link)
    #expect(link.opening.request.authentication == .token("t"))
  }

  @Test func saysWhyThereWillBeNoConnection() async throws {
    let client = try make()
    let connecting = Task { try await client.connect(userID: "u", token: .fixed("t")) }
    try await transport.openings.next().end(4504)
    await #expect(throws: ClientError.disconnected(.featureDisabled)) { try await connecting.value }
    await #expect(throws: ClientError.misused("connect(userID:token:) comes first")) { try await make().connect() }
  }

  @Test func cancellingAConnectLeavesTheClientToItself() async throws {
    let client = try make()
    let connecting = Task { try await client.connect(userID: "u", token: .fixed("t")) }
    let link = try await transport.openings.next()
    connecting.cancel()
    await #expect(throws: CancellationError.self) { try await connecting.value }
    try link.ready()
    try await client.connect()
  }

  @Test func tellsEveryChangeOfState() async throws {
    let client = try make()
    var states = await client.states.makeAsyncIterator()
    #expect(await states.next() == .disconnected(.client))
    let link = try await connected(client)
    #expect(await states.next() == .connecting)
    #expect(await states.next() == .connected)
    link.end(1006)
    #expect(await states.next() == .reconnecting)
    await client.disconnect()
    #expect(await states.next() == .disconnected(.client))
  }

  // MARK: Delivery

  @Test func resumesAfterWhatWasProcessedAndHandsNothingOnTwice() async throws {
    let client = try make()
    let link = try await connected(client)
    try link.event(1, epoch: "1")
    for offset in 2...3 { try link.event(offset) }
    var events = client.events.makeAsyncIterator()
    #expect(await ids(&events, 3) == ["user:u-1", "user:u-2", "user:u-3"])
    clock.advance(by: 50)
    #expect(try await link.said() == #"{"ack":[{"topic":"user:u","epoch":"0000000000000001","offset":2}]}"#)

    // 3 was taken, and nothing after it was asked for: it is not processed.
    link.end(1006)
    let again = try await next(client)
    #expect(again.opening.request.positions["user:u"]?.offset == 2)
    try again.ready()
    try again.event(3, epoch: "1")
    try again.event(4)
    try again.say(#"{"live":{"topic":"user:u","epoch":"0000000000000001","offset":4}}"#)
    #expect(await ids(&events, 1) == ["user:u-4"])
  }

  @Test func tellsWhatARecoveryBrought() async throws {
    let client = try make()
    let link = try await connected(client)
    try link.event(1, epoch: "1")
    var updates = client.updates.makeAsyncIterator()
    func nextTold() async -> RealtimeUpdate? {
      while let update = await updates.next() {
        switch update {
        case .state, .ready, .lost: continue
        default: return update
        }
      }
      return nil
    }
    guard case .event? = await nextTold() else { throw CancellationError() }
    await updates.finishCurrent()
    link.end(1006)
    let again = try await next(client)
    try again.ready()
    try again.event(2, epoch: "1")
    try again.say(#"{"live":{"topic":"user:u","epoch":"0000000000000001","offset":2}}"#)
    guard case .event(let replayed)? = await nextTold() else { throw CancellationError() }
    #expect(replayed.isReplay)
    #expect(await nextTold() == .recovered(topic: "user:u", events: 1))
  }

  @Test func updatesWaitForTheirFirstReader() async throws {
    let client = try make()
    let link = try await connected(client)
    try link.event(1, epoch: "1")
    try link.event(2)
    var first = client.events.makeAsyncIterator()
    var second = client.events.makeAsyncIterator()
    #expect(await ids(&first, 2) == ["user:u-1", "user:u-2"])
    // The first one has asked for what follows 1: that is processed.
    #expect(await ids(&second, 1) == ["user:u-2"])
  }

  @Test func aReaderThatLagsHoldsTheSocketBackAndACallLetsItGo() async throws {
    let client = try make()
    let link = try await connected(client)
    try link.event(1, epoch: "1")
    for offset in 2...1_100 { try link.event(offset) }
    #expect(try await link.reading.next() == false)
    // The answer lies behind what is not read.
    async let answer = client.call("f")
    #expect(try await link.reading.next() == true)
    let id = try #require(try await link.said().firstMatch(of: /"id":(\d+)/)).1
    try link.say(#"{"id":\#(id),"result":7}"#)
    #expect(try await answer.description == "7")
    #expect(try await link.reading.next() == false)
    var events = client.events.makeAsyncIterator()
    #expect(await ids(&events, 1_100).count == 1_100)
    #expect(try await link.reading.next() == true)
  }

  @Test func positionsAreKeptAndPresentedByTheNextRun() async throws {
    let cursors = FakeCursors(["user:u": Position(epoch: Epoch(rawValue: 1), offset: 4)])
    let client = try make { $0.cursors = cursors }
    let link = try await connected(client)
    #expect(link.opening.request.positions["user:u"]?.offset == 4)
    try link.event(4, epoch: "1")
    try link.event(5)
    var events = client.events.makeAsyncIterator()
    #expect(await ids(&events, 1) == ["user:u-5"])
    await events.finishCurrent()
    clock.advance(by: 50)
    #expect(try await cursors.saved.next() == ["user:u": 5])
  }

  @Test func anotherUserBeginsAnew() async throws {
    let client = try make()
    let link = try await connected(client)
    try link.event(1, epoch: "1")
    async let connecting: Void = client.connect(userID: "v", token: .fixed("t2"))
    let other = try await transport.openings.next()
    #expect(other.opening.request.subscriptions == ["user:v"])
    #expect(other.opening.request.positions == [:])
    try other.ready("v", topics: ["user:v"])
    try await connecting
    try other.event(9, topic: "user:v", epoch: "2")
    var events = client.events.makeAsyncIterator()
    #expect(await ids(&events, 1) == ["user:v-9"])
  }

  @Test func shutdownEndsEverySequence() async throws {
    let client = try make()
    let link = try await connected(client)
    async let rest: [RealtimeEvent] = client.events.reduce(into: []) { $0.append($1) }
    try link.event(1, epoch: "1")
    async let states: [ConnectionState] = client.states.reduce(into: []) { $0.append($1) }
    _ = await client.state
    try await until { await client.queue.hasReaders }
    await client.shutdown()
    #expect(await rest.count <= 1)
    _ = await states
    try await link.closes.next()
  }

  @Test func cancellingAReaderEndsItsSequence() async throws {
    let client = try make()
    let reading = Task { for await _ in client.events {} }
    try await until { await !client.readers.isEmpty }
    reading.cancel()
    await reading.value
  }

  // MARK: The connection's health

  @Test func aHalfOpenConnectionIsGivenUpAndMadeAgain() async throws {
    let client = try make()
    let link = try await connected(client)
    #expect(try await link.sent.next() == #"{"ping":{}}"#)
    try link.say(#"{"pong":{}}"#)
    try await until { await client.latency != nil }
    clock.advance(by: 25_000)
    #expect(try await link.sent.next() == #"{"ping":{}}"#)
    clock.advance(by: 10_000)
    try await link.closes.next()
    let again = try await next(client)
    try again.ready()
  }

  @Test func aNewNetworkIsAReasonToAskAtOnce() async throws {
    let client = try make()
    let link = try await connected(client)
    _ = try await link.sent.next()
    try link.say(#"{"pong":{}}"#)
    try await until { await client.latency != nil }
    await client.networkBecameAvailable()
    #expect(try await link.sent.next() == #"{"ping":{}}"#)
    // Less time than usual.
    clock.advance(by: 4_000)
    try await link.closes.next()
  }

  @Test func comesBackWhenToldTo() async throws {
    let client = try make()
    let link = try await connected(client)
    var updates = client.updates.makeAsyncIterator()
    try link.say(#"{"goaway":{"retryAfterMs":321}}"#)
    link.end(4000)
    var lost: RealtimeUpdate?
    while let update = await updates.next() {
      guard case .lost = update else { continue }
      lost = update
      break
    }
    #expect(lost == .lost(TransportEnding(code: 4000, retryAfterMilliseconds: 321), retryAfterMilliseconds: 321))
    clock.advance(by: 321)
    _ = try await transport.openings.next()
  }

  @Test func restsAfterTooManyFailuresUntilTheNetworkIsBack() async throws {
    let client = try make { $0.reconnectAttemptsMax = 1 }
    let connecting = Task { try await client.connect(userID: "u", token: .fixed("t")) }
    try await transport.openings.next().end(1006)
    try await next(client).end(1006)
    await #expect(throws: ClientError.disconnected(.maxAttempts)) { try await connecting.value }
    await client.networkBecameAvailable()
    try await transport.openings.next().ready()
    try await client.connect()
  }

  @Test func goesOverToALesserTransportAndBackWhenTheBestPasses() async throws {
    let lesser = FakeTransport("lesser", isDuplex: false)
    let client = try make { $0.transports = [transport, lesser] }
    let connecting = Task { try await client.connect(userID: "u", token: .fixed("t")) }
    try await transport.openings.next().end(1006)
    try await next(client).end(1006)
    let fallback = try await next(client, over: lesser)
    try fallback.ready()
    try await connecting.value
    #expect(await client.transportName == "lesser")
    // What was processed is told to it, as the reason to ask for more.
    try fallback.event(1, epoch: "1")
    var events = client.events.makeAsyncIterator()
    _ = await events.next()
    await events.finishCurrent()
    clock.advance(by: 50)
    #expect(try await fallback.said().contains(#""offset":1"#))
    // Another topic means another beginning.
    #expect(try await client.subscribe(to: ["chat:c"]) == RealtimeClient.Subscribed())
    let again = try await lesser.openings.next()
    #expect(again.opening.request.subscriptions == ["user:u", "chat:c"])
    #expect(again.opening.request.positions["user:u"]?.offset == 1)
    try again.ready()
    try await until { await client.upgradeDue != nil }
    // It is the second look.
    clock.advance(by: 60_000)
    _ = try await transport.openings.next()
    #expect(await client.transportName == "fake")
  }

  // MARK: Tokens

  /// Say of whoever was signed in before: nothing is taken, told or acknowledged as them.
  @Test(arguments: ["ready", "denied", "refused"]) func aTokenOfAnotherUserIsRefused(sign: String) async throws {
    let client = try make()
    let connecting = Task { try await client.connect(userID: "u", token: .provider { _ in "v's" }) }
    for _ in 0..<2 {
      let link = try await transport.openings.next()
      switch sign {
      case "ready": try link.ready("v", topics: ["chat:c"])
      case "denied":
        try link.say(
          #"{"ready":{"connectionId":"c1","userId":"","deviceId":"d","subscriptions":["chat:c"],"#
            + #""denied":[{"topic":"user:u","code":"PERMISSION_DENIED"}],"pingInterval":25000,"serverTime":1}}"#)
      default: link.end(4501)
      }
    }
    await #expect(throws: ClientError.disconnected(.unauthenticated)) { try await connecting.value }
    await client.setToken(.fixed("u's"))
    try await transport.openings.next().ready()
    try await client.connect()
  }

  @Test func asksForATokenBeforeEveryAttemptAndOnceByForceAfterARefusal() async throws {
    let asked = Mutex<[Bool]>([])
    let client = try make()
    let token = TokenSource.provider { force in
      asked.withLock {
        $0.append(force)
        return "t\($0.count)"
      }
    }
    let connecting = Task { try await client.connect(userID: "u", token: token) }
    try await transport.openings.next().end(4500)
    let second = try await transport.openings.next()
    #expect(second.opening.request.authentication == .token("t2"))
    second.end(4500)
    await #expect(throws: ClientError.disconnected(.unauthenticated)) { try await connecting.value }
    #expect(asked.withLock { $0 } == [false, true])
    // Only another token leaves that.
    await client.setToken(.fixed("new"))
    let third = try await transport.openings.next()
    #expect(third.opening.request.authentication == .token("new"))
    try third.ready()
    try await client.connect()
  }

  @Test func aTokenThatEndsSoonIsReplacedOnTheConnection() async throws {
    let client = try make()
    let link = try await connected(client, token: .provider { force in force ? "fresh" : "t" })
    try link.say(#"{"expiring":{"expiresAt":1}}"#)
    #expect(try await link.said() == #"{"connect":{"token":"fresh"}}"#)
    await client.setToken(.fixed("mine"))
    #expect(try await link.said() == #"{"connect":{"token":"mine"}}"#)
  }

  @Test func aTokenThatCannotBeHadIsTriedAgain() async throws {
    struct Away: Error {}
    let asked = Mutex(0)
    let client = try make()
    let token = TokenSource.provider { _ in
      let attempt = asked.withLock {
        $0 += 1
        return $0
      }
      if attempt == 1 { throw Away() }
      return "t"
    }
    async let connecting: Void = client.connect(userID: "u", token: token)
    var updates = client.updates.makeAsyncIterator()
    while let update = await updates.next() { if case .lost = update { break } }
    try await next(client).ready()
    try await connecting
  }

  // MARK: Topics

  @Test func subscribesAndLeavesOverTheSocketAndRemembers() async throws {
    let client = try make()
    let link = try await connected(client)
    async let subscribed = client.subscribe(to: ["chat:a", "chat:b"])
    #expect(
      try await link.said()
        == #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["chat:a","chat:b"]}}"#)
    try link.say(
      #"{"id":1,"result":{"subscriptions":["chat:a"],"denied":[{"topic":"chat:b","code":"PERMISSION_DENIED"}],"#
        + #""unread":{"a":3}}}"#)
    let answer = try await subscribed
    #expect(answer.topics == ["chat:a"])
    #expect(answer.denied.map(\.topic) == ["chat:b"])
    #expect(answer.unread == ["a": 3])

    async let left: Void = client.unsubscribe(from: ["chat:b"])
    #expect(try await link.said() == #"{"id":2,"call":"unsubscribe","data":{"subscriptions":["chat:b"]}}"#)
    try link.say(#"{"id":2,"result":{"success":true}}"#)
    try await left

    link.end(1006)
    let again = try await next(client)
    #expect(again.opening.request.subscriptions == ["user:u", "chat:a"])
    // What is wanted while a connection is made is made good when it is there.
    let nothing = try await client.subscribe(to: ["chat:c"])
    #expect(nothing == RealtimeClient.Subscribed())
    try again.ready()
    #expect(try await again.said().contains(#""subscriptions":["chat:c"]"#))
  }

  @Test func aSubscriptionThatIsLostWithItsConnectionIsMadeGoodByTheNext() async throws {
    let client = try make()
    let link = try await connected(client)
    async let subscribed = client.subscribe(to: ["chat:a"])
    _ = try await link.said()
    link.end(1006)
    #expect(try await subscribed == RealtimeClient.Subscribed())
    #expect(try await next(client).opening.request.subscriptions == ["user:u", "chat:a"])
  }

  // MARK: Calls

  @Test func aCallIsAnsweredRefusedOrGivenUp() async throws {
    let client = try make()
    let link = try await connected(client)
    async let answered = client.call("f", JSONText { $0.raw(#"{"a":1}"#) })
    #expect(try await link.said() == #"{"id":1,"call":"f","data":{"a":1}}"#)
    try link.say(#"{"id":1,"result":{"b":2}}"#)
    #expect(try await answered.description == #"{"b":2}"#)

    let refused = Task { try await client.call("f") }
    _ = try await link.said()
    try link.say(#"{"id":2,"error":{"status":"PERMISSION_DENIED","message":"not yours"}}"#)
    await #expect(throws: ClientError.refused(CallError(.permissionDenied, "not yours"))) { try await refused.value }

    let late = Task { try await client.call("slow", timeout: .seconds(3)) }
    _ = try await link.said()
    clock.advance(by: 3_000)
    await #expect(throws: ClientError.timedOut("slow was not answered in time")) { try await late.value }

    let cancelled = Task { try await client.call("f") }
    _ = try await link.said()
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
  }

  @Test func aClientThatNobodyHoldsEndsItsConnection() async throws {
    var client: RealtimeClient? = try make()
    let link = try await connected(try #require(client))
    client = nil
    try await link.closes.next()
  }
}
