import AvaloCore
import Testing

@testable import AvaloClient

/// Several loops over one client, and what the server is told of what they read.
@Suite(.timeLimit(.minutes(1))) struct ReadersTests {
  let world = RealtimeClientTests()

  private func acknowledged(_ client: RealtimeClient, _ link: FakeLink) async throws -> String {
    try await until { await client.acknowledgements.due != nil }
    world.clock.advance(by: 50)
    return try await link.said()
  }

  private func ack(_ offset: Int) -> String {
    #"{"ack":[{"topic":"user:u","epoch":"0000000000000001","offset":\#(offset)}]}"#
  }

  /// Polls whose second event is processed and acknowledged, while the first waits for a loop that has not begun.
  private func passedOverTheFirst(_ client: RealtimeClient, _ poll: FakeTransport) async throws -> FakeLink {
    let link = try await world.connected(client, over: poll)
    _ = client.events(of: .notification)
    try link.event(1, epoch: "1", type: "notification")
    try link.event(2)
    var chats = client.events(of: .chatMessage).makeAsyncIterator()
    #expect(await chats.next()?.offset == 2)
    await chats.finishCurrent()
    #expect(try await acknowledged(client, link) == ack(2))
    return link
  }

  // MARK: Which events wait

  @Test func whatTheFirstLoopDoesNotWantWaitsForTheSecond() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    try link.event(1, epoch: "1", type: "notification")
    try link.event(2)
    var chats = client.events(of: .chatMessage).makeAsyncIterator()
    #expect(await chats.next()?.offset == 2)
    await chats.finishCurrent()
    world.clock.advance(by: 50)
    var notes = client.events(of: .notification).makeAsyncIterator()
    #expect(await notes.next()?.offset == 1)
    await notes.finishCurrent()
    // The first that it says: before, one of the two was not read.
    #expect(try await acknowledged(client, link) == ack(2))
  }

  @Test func whatComesBetweenTwoLoopsOfATypeWaitsForTheSecond() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    var chats = client.events(of: .chatMessage).makeAsyncIterator()
    try link.event(1, epoch: "1", type: "notification")
    for await event in client.events(of: .notification) {
      #expect(event.offset == 1)
      break
    }
    try link.event(2, type: "notification")
    try link.event(3)
    #expect(await chats.next()?.offset == 3)
    await chats.finishCurrent()
    // Longer than anything waits that nobody asked for.
    world.clock.advance(by: ClientLimits.heldFor)
    var seen: [UInt64] = []
    for await event in client.events(of: .notification) {
      seen.append(event.offset ?? 0)
      if seen.count == 2 { break }
    }
    #expect(seen == [1, 2], "it left the first loop without having processed 1")
  }

  @Test func whatNobodyEverAsksForHoldsUpAnAcknowledgementForAWhileOnly() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    try link.event(1, epoch: "1", type: "notification")
    try link.event(2)
    var chats = client.events(of: .chatMessage).makeAsyncIterator()
    #expect(await chats.next()?.offset == 2)
    await chats.finishCurrent()
    #expect(await client.acknowledgements.due == nil)
    world.clock.advance(by: ClientLimits.heldFor)
    #expect(try await acknowledged(client, link) == ack(2))
  }

  @Test func overPollsWhatWaitsForAReaderHoldsUpNothing() async throws {
    let poll = FakeTransport("poll", isDuplex: false)
    let client = try world.make { $0.transports = [poll] }
    _ = try await passedOverTheFirst(client, poll)
    #expect(await client.acknowledgements.positions == [:], "to resume from there would lose it")
    var notes = client.events(of: .notification).makeAsyncIterator()
    #expect(await notes.next()?.offset == 1)
  }

  @Test func anIteratorThatWasCancelledEndsWhenItIsAskedAgain() async throws {
    let client = try world.make()
    let reader = await client.addReader()
    let reading = Task { await client.next(reader) { _ in true } }
    try await until { await !client.readers.isEmpty }
    reading.cancel()
    #expect(await reading.value == nil)
    let link = try await world.connected(client)
    try link.event(1, epoch: "1")
    #expect(await client.next(reader) { _ in true } == nil)
  }

  // MARK: What the server is told

  @Test func whatIsProcessedWhileThereIsNoConnectionIsAcknowledgedByTheNext() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    try link.event(1, epoch: "1")
    try link.event(2)
    var events = client.events.makeAsyncIterator()
    for offset in 1...2 as ClosedRange<UInt64> { #expect(await events.next()?.offset == offset) }
    link.end(1006)
    try await until { await client.machine.phase == .waiting }
    await events.finishCurrent()
    let again = try await world.next(client)
    try again.ready()
    try again.live(2)
    #expect(try await acknowledged(client, again) == ack(2))
  }

  @Test func anAcknowledgementThatMayHaveBeenLostIsSaidAgain() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    try link.event(1, epoch: "1")
    var events = client.events.makeAsyncIterator()
    #expect(await events.next()?.offset == 1)
    await events.finishCurrent()
    #expect(try await acknowledged(client, link) == ack(1))
    // It was sent, and nobody knows whether it came.
    link.end(1006)
    let again = try await world.next(client)
    try again.ready()
    try again.live(1)
    #expect(try await acknowledged(client, again) == ack(1))
  }

  @Test func whatWasProcessedOverAStreamIsAcknowledgedOverTheWebSocket() async throws {
    let stream = FakeTransport("sse", isDuplex: false)
    let client = try world.make { $0.transports = [world.transport, stream] }
    let connecting = Task { try await client.connect(userID: "u", token: .fixed("t")) }
    try await world.transport.openings.next().end(1006)
    try await world.next(client).end(1006)
    let lesser = try await world.next(client, over: stream)
    try lesser.ready()
    try await connecting.value
    try lesser.event(1, epoch: "1")
    var events = client.events.makeAsyncIterator()
    #expect(await events.next()?.offset == 1)
    await events.finishCurrent()
    try await until { await client.upgradeDue != nil }
    world.clock.advance(by: 5_000)
    let best = try await world.transport.openings.next()
    try best.ready()
    try best.live(1)
    #expect(try await acknowledged(client, best) == ack(1))
  }

  @Test func newPollsAreToldWhatPassedOverTheOnesBefore() async throws {
    let poll = FakeTransport("poll", isDuplex: false)
    let client = try world.make { $0.transports = [poll] }
    let link = try await passedOverTheFirst(client, poll)
    link.end(1006)
    let again = try await world.next(client, over: poll)
    try again.ready()
    // It brings both again: neither was acknowledged, and neither is news.
    #expect(try await acknowledged(client, again) == ack(2))
  }

  @Test func aLoopOverEverythingThatFailedGetsItsEventAgainHoweverLateItBeginsAnew() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    let typing = Task { for await _ in client.events(of: .typingIndicator) {} }
    try await until { await client.readers.count == 1 }
    try link.event(1, epoch: "1")
    for await event in client.events {
      #expect(event.offset == 1)
      break
    }
    try await until { await client.queue.due == nil }
    world.clock.advance(by: 2 * ClientLimits.heldFor)
    var events = client.events.makeAsyncIterator()
    #expect(await events.next()?.offset == 1)
    #expect(await client.acknowledgements.positions == [:])
    typing.cancel()
    await typing.value
  }
}
