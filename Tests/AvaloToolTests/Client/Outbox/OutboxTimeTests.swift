import AvaloCore
import Synchronization
import Testing

@testable import AvaloClient

/// When the outbox sends, and what a store that fails does to it.
@Suite(.timeLimit(.minutes(1))) struct OutboxTimeTests {
  let world = RealtimeClientTests()

  /// Nothing of the outbox comes between some calls, although it has every chance to.
  private func expectQuiet(_ client: RealtimeClient, _ link: FakeLink) async throws {
    for _ in 0..<50 {
      async let answer = client.call("probe")
      let (id, text) = try await link.called()
      try #require(text.contains("probe"), "\(text)")
      try link.say(#"{"id":\#(id),"result":{}}"#)
      _ = try await answer
      await Task.yield()
    }
  }

  /// Refuses what comes next, and waits until the outbox knows.
  private func refuse(_ link: FakeLink, _ id: String, _ error: String, _ outbox: Outbox) async throws {
    try link.say(#"{"id":\#(id),"error":\#(error)}"#)
    try await until { await !outbox.isDraining }
  }

  @Test func whatIsAddedWaitsAsLongAsWhatFailed() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    let outbox = Outbox(client)
    try await outbox.publish(.message("first"))
    let busy = #"{"status":"RESOURCE_EXHAUSTED","message":"busy","details":{"retryAfterMs":5000}}"#
    try await refuse(link, try await link.called().id, busy, outbox)
    try await outbox.publish(.message("second"))
    world.clock.advance(by: 4_000)
    try await outbox.publish(.message("third"))
    try await expectQuiet(client, link)
    world.clock.advance(by: 1_000)
    #expect(try await link.called().text.contains(#""eventId":"first""#))
  }

  @Test func anotherConnectionEndsTheOutboxsOwnPatienceAndNotTheServers() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    let outbox = Outbox(client)
    try await outbox.publish(.message("first"))
    try await refuse(link, try await link.called().id, #"{"status":"INTERNAL","message":"?"}"#, outbox)
    await client.disconnect()
    // No time has passed.
    let second = try await again(client)
    let (id, text) = try await second.called()
    #expect(text.contains(#""eventId":"first""#))
    let busy = #"{"status":"UNAVAILABLE","message":"busy","details":{"retryAfterMs":60000}}"#
    try await refuse(second, id, busy, outbox)
    await client.disconnect()
    let third = try await again(client)
    try await expectQuiet(client, third)
    world.clock.advance(by: 60_000)
    #expect(try await third.said().contains(#""eventId":"first""#))
  }

  private func again(_ client: RealtimeClient) async throws -> FakeLink {
    async let connecting: Void = client.connect()
    let link = try await world.transport.openings.next()
    try link.ready()
    try await connecting
    return link
  }

  @Test func whatThisConnectionCannotHelpWaitsForAnotherWhateverIsAdded() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    let outbox = Outbox(client)
    try await outbox.publish(.message("first"))
    let refusal = #"{"status":"CANCELLED","message":"not here"}"#
    try await refuse(link, try await link.called().id, refusal, outbox)
    try await outbox.publish(.message("second"))
    try await expectQuiet(client, link)
    await client.disconnect()
    #expect(try await again(client).called().text.contains(#""eventId":"first""#))
  }

  @Test func whatIsSwitchedOffHoldsUpNothingBehindIt() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    let outbox = Outbox(client)
    try await outbox.updatePresence(PresenceUpdate(status: .set(.busy)))
    try await outbox.publish(.message("behind"))
    try link.say(
      #"{"id":\#(try await link.called().id),"error":{"status":"FAILED_PRECONDITION","message":"presence is off"}}"#)
    #expect(try await link.called().text.contains(#""eventId":"behind""#))
    var events = outbox.events.makeAsyncIterator()
    guard case .failed(let entry, _)? = await events.next() else { throw CancellationError() }
    #expect(entry.name == "updatePresenceV1")
  }

  @Test func manyThatHaveWaitedDoNotGoOutAllAtOnce() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    await client.disconnect()
    let outbox = Outbox(client)
    for number in 0..<21 { try await outbox.publish(.message("e\(number)")) }
    let second = try await again(client)
    for _ in 0..<20 { try second.say(#"{"id":\#(try await second.called().id),"result":{}}"#) }
    try await expectQuiet(client, second)
    world.clock.advance(by: 20)
    #expect(try await second.called().text.contains(#""eventId":"e20""#))
    _ = link
  }

  @Test func whatIsToldAgainHasTheSameNameAndNoTimeIsTooLong() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    await client.disconnect()
    let outbox = Outbox(client)
    try await outbox.markChatAsRead("c")
    try await outbox.add("f", .emptyObject, ttlMilliseconds: .max)
    try await outbox.add("g", .emptyObject, ttlMilliseconds: .min)
    var long = EventDraft.message("long")
    long.ttlSeconds = .max
    try await outbox.publish(long)
    let waiting = try await outbox.pending()
    #expect(waiting.map { $0.expiresAtMilliseconds > world.clock.wall } == [true, true, false, true])
    let second = try await again(client)
    let (id, text) = try await second.called()
    let name = try #require(text.firstMatch(of: /"requestId":"req_[0-9a-f]{32}"/)).0
    try await refuse(second, id, #"{"status":"UNAVAILABLE","message":"later"}"#, outbox)
    await client.disconnect()
    #expect(try await again(client).called().text.contains(name))
    _ = link
  }

  @Test func aPayloadThatNoServerTakesIsRefusedWithItsLimit() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    let outbox = Outbox(client)
    let payload = JSONText { $0.string(String(repeating: "x", count: 64 << 10)) }
    let large = EventDraft(.chatMessage, to: .topic("chat:c"), payload: payload)
    func limit(_ body: () async throws -> Void) async -> CallError.Exceeded? {
      do {
        try await body()
      } catch ClientError.refused(let refusal) {
        #expect(refusal.code == .invalidArgument)
        return refusal.exceeded
      } catch {}
      return nil
    }
    let expected = CallError.over(.payloadBytes, max: 65_536, "").exceeded
    #expect(await limit { try await outbox.publish(large) } == expected)
    #expect(await limit { try await client.publish(large) } == expected)
    let server = RealtimeServer(.tcp(host: "127.0.0.1", port: 9), apiKey: "avk_1")
    #expect(await limit { try await server.publishRealtimeEvent(large) } == expected)
    #expect(await limit { try await server.broadcastToUsers(["a"], large) } == expected)
    let much = JSONText { $0.string(String(repeating: "x", count: 128 << 10)) }
    #expect(await limit { try await outbox.add("f", much) } == CallError.over(.messageBytes, max: 131_072, "").exceeded)
    #expect(try await outbox.pending().isEmpty)
    _ = link
  }

  // MARK: A store that fails

  /// In memory, and lets nothing go while it is full.
  private final class FullStore: OutboxStore {
    let isFull = Mutex(false)
    private let memory = MemoryOutboxStore()

    func add(_ entry: OutboxEntry, max: Int) async throws -> Bool { await memory.add(entry, max: max) }
    func first(of user: String) async throws -> OutboxEntry? { await memory.first(of: user) }
    func all(of user: String) async throws -> [OutboxEntry] { await memory.all(of: user) }
    func remove(_ entry: OutboxEntry) async throws {
      if isFull.withLock({ $0 }) { throw ClientError.storage("full") }
      await memory.remove(entry)
    }
  }

  @Test func whatWasSentIsToldOnceThoughTheStoreCannotLetItGo() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    let store = FullStore()
    let outbox = Outbox(client, store: store)
    store.isFull.withLock { $0 = true }
    try await outbox.publish(.message("first"))
    try link.say(#"{"id":\#(try await link.called().id),"result":{}}"#)
    var events = outbox.events.makeAsyncIterator()
    guard case .sent(let entry, _)? = await events.next() else { throw CancellationError() }
    #expect(entry.data.description.contains("first"))
    #expect(await events.next() == .stuck("full"))
    #expect(try await outbox.pending().isEmpty)
    try await outbox.publish(.message("second"))
    try await expectQuiet(client, link)
    // Another connection, and it is full as before: said already.
    await client.disconnect()
    let again = try await again(client)
    try await expectQuiet(client, again)
    store.isFull.withLock { $0 = false }
    world.clock.advance(by: 60_000)
    let (id, text) = try await again.called()
    #expect(text.contains(#""eventId":"second""#))
    try again.say(#"{"id":\#(id),"result":{}}"#)
    guard case .sent(let next, _)? = await events.next() else { throw CancellationError() }
    #expect(next.data.description.contains("second"))
  }
}
