import AvaloCore
import Synchronization
import Testing

@testable import AvaloClient

/// Tokens that take their time, cannot be had, or change meanwhile.
@Suite(.timeLimit(.minutes(1))) struct TokensTests {
  let world = RealtimeClientTests()

  /// What an application does to have a token; cancelled, it says so.
  private final class SlowTokens: Sendable {
    let asked = Mailbox<Void>()
    let cancelled = Mailbox<Void>()
    private let answers: AsyncStream<String>
    private let answer: AsyncStream<String>.Continuation

    init() { (answers, answer) = AsyncStream.makeStream(of: String.self) }

    func give(_ token: String) { answer.yield(token) }

    var source: TokenSource {
      .provider { [self] _ in
        asked.put(())
        var iterator = answers.makeAsyncIterator()
        guard let token = await iterator.next() else {
          cancelled.put(())
          throw CancellationError()
        }
        return token
      }
    }
  }

  @Test func oneThatTakesLongIsWaitedFor() async throws {
    let tokens = SlowTokens()
    let client = try world.make()
    async let connecting: Void = client.connect(userID: "u", token: tokens.source)
    try await tokens.asked.next()
    world.clock.advance(by: 45_000)
    tokens.give("t")
    let link = try await world.transport.openings.next()
    try link.ready()
    try await connecting
    #expect(await client.reconnectAttempts == 0)
  }

  @Test func oneThatNeverComesIsCancelledWithItsAttemptAndHoldsNobody() async throws {
    let tokens = SlowTokens()
    var client: RealtimeClient? = try world.make()
    weak let held = client
    let connecting = Task { [client] in try await client?.connect(userID: "u", token: tokens.source) }
    try await tokens.asked.next()
    world.clock.advance(by: Int64(ClientLimits.tokenTimeoutMilliseconds))
    try await tokens.cancelled.next()
    try await until { await client?.machine.phase == .waiting }
    world.clock.advance(by: 30_000)
    try await tokens.asked.next()
    await client?.shutdown()
    try await tokens.cancelled.next()
    await #expect(throws: ClientError.disconnected(.client)) { try await connecting.value }
    client = nil
    try await until { held == nil }
  }

  @Test func aConnectionThatNeedsAnotherOneAsksUntilItHasIt() async throws {
    struct Away: Error {}
    let asked = Mutex(0)
    let client = try world.make()
    let link = try await world.connected(
      client,
      token: .provider { force in
        guard force else { return "t" }
        let attempt = asked.withLock {
          $0 += 1
          return $0
        }
        if attempt == 1 { throw Away() }
        return "fresh"
      })
    var updates = client.updates.makeAsyncIterator()
    try link.say(#"{"expiring":{"expiresAt":1}}"#)
    while let update = await updates.next() { if case .complaint = update { break } }
    world.clock.advance(by: ClientLimits.tokenRetry)
    #expect(try await link.said() == #"{"connect":{"token":"fresh"}}"#)
  }

  @Test func anotherFunctionGivenWhileItConnectsIsTheOneThatCounts() async throws {
    let client = try world.make()
    let connecting = Task { try await client.connect(userID: "u", token: .fixed("old")) }
    let first = try await world.transport.openings.next()
    #expect(first.opening.request.authentication == .token("old"))
    await client.setToken(.provider { forced in forced ? "newest" : "new" })
    let second = try await world.transport.openings.next()
    #expect(second.opening.request.authentication == .token("new"))
    second.end(4500)
    // A function may be asked again, though the first token was none.
    let third = try await world.transport.openings.next()
    #expect(third.opening.request.authentication == .token("newest"))
    try third.ready()
    try await connecting.value
  }

  @Test func oneThatIsSetOverAStreamOrPollsBeginsThemAgain() async throws {
    let stream = FakeTransport("sse", isDuplex: false)
    let client = try world.make { $0.transports = [stream] }
    let first = try await world.connected(client, token: .fixed("old"), over: stream)
    await client.setToken(.fixed("new"))
    try await first.closes.next()
    let second = try await stream.openings.next()
    #expect(second.opening.request.authentication == .token("new"))
    try second.ready()
    try await client.connect()
    // A function is asked once for it, and not for what it has just answered.
    let asked = Mutex(0)
    await client.setToken(
      .provider { _ in
        asked.withLock { $0 += 1 }
        return "newer"
      })
    let third = try await stream.openings.next()
    #expect(third.opening.request.authentication == .token("newer"))
    #expect(asked.withLock { $0 } == 1)
  }
}
