import AvaloCore
import Synchronization
import Testing

@testable import AvaloClient

/// How long a call takes at most, and which way it goes.
@Suite(.timeLimit(.minutes(1))) struct CallTests {
  let world = RealtimeClientTests()

  /// A server that answers what is asked over HTTP with what was asked, and some things never.
  private func server(_ seen: Mailbox<String> = Mailbox()) async throws -> TestServer {
    try await TestServer.start { peer, happening in
      guard case .request(let request) = happening else { return }
      seen.put(request.target)
      if request.target != "/silent" { peer.reply(200, #"{"result":"\#(request.target)"}"#) }
    }
  }

  @Test func whatTheSocketWouldNotTakeGoesOverHTTP() async throws {
    let server = try await server()
    let client = try world.make { $0.endpoint = server.endpoint }
    let link = try await world.connected(client)
    let large = JSONText { $0.string(String(repeating: "x", count: 90_000)) }
    #expect(try await client.call("large", large).description == #""/large""#)
    async let small = client.call("small")
    // The first that the socket has to carry.
    #expect(try await link.said() == #"{"id":1,"call":"small","data":{}}"#)
    try link.say(#"{"id":1,"result":1}"#)
    _ = try await small
    await client.shutdown()
    try await server.stop()
  }

  @Test func aCallHasOneTimeForAllItsWays() async throws {
    let server = try await server()
    let client = try world.make {
      $0.endpoint = server.endpoint
      $0.callTimeout = .seconds(3_600)
    }
    let link = try await world.connected(client)
    let call = Task { try await client.call("silent") }
    _ = try await link.said()
    // Almost all of it was spent on the socket.
    world.clock.advance(by: 3_599_900)
    link.end(1006)
    await #expect(throws: ClientError.self) { _ = try await call.value }
    await client.shutdown()
    try await server.stop()
  }

  @Test func aCallOverHTTPIsCancelledAtOnce() async throws {
    let seen = Mailbox<String>()
    let server = try await server(seen)
    let client = try world.make { $0.endpoint = server.endpoint }
    _ = try await world.connected(client)
    await client.disconnect()
    let call = Task { try await client.call("silent", timeout: .seconds(3_600)) }
    #expect(try await seen.next() == "/silent")
    call.cancel()
    await #expect(throws: CancellationError.self) { _ = try await call.value }
    await client.shutdown()
    try await server.stop()
  }

  @Test func aTokenThatDoesNotComeHoldsUpNoCallForEver() async throws {
    let client = try world.make()
    // Heeds no cancellation.
    let (never, end) = AsyncStream.makeStream(of: Void.self)
    let source = TokenSource.provider { _ in
      await Task.detached { for await _ in never {} }.value
      return "t"
    }
    let connecting = Task { try await client.connect(userID: "u", token: source) }
    try await until { await client.machine.phase == .token }
    let cancelled = Task { try await client.call("f", timeout: .seconds(3_600)) }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { _ = try await cancelled.value }
    let moving = Task { [clock = world.clock] in
      while !Task.isCancelled {
        clock.advance(by: 100)
        await Task.yield()
      }
    }
    await #expect(throws: ClientError.unreachable("no token came in time")) {
      _ = try await client.call("f", timeout: .seconds(3))
    }
    moving.cancel()
    end.finish()
    await client.shutdown()
    await #expect(throws: ClientError.self) { try await connecting.value }
    await #expect(throws: ClientError.misused("the client was shut down")) { _ = try await client.call("f") }
  }

  @Test func noTimeForACallIsTooLong() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    async let answer = client.call("f", timeout: .seconds(Int64.max))
    _ = try await link.said()
    try link.say(#"{"id":99999999999999999999,"result":0}"#)
    try link.say(#"{"id":1,"result":{"b":2}}"#)
    #expect(try await answer.description == #"{"b":2}"#)
  }

  @Test func whatOneUserTypedTheNextOneHasNotTyped() async throws {
    let client = try world.make()
    for user in ["u", "v"] {
      async let connecting: Void = client.connect(userID: user, token: .fixed("of \(user)"))
      let link = try await world.transport.openings.next()
      try link.ready(user)
      try await connecting
      async let typing: Void = client.sendTyping(in: "c")
      #expect(try await link.said().contains("sendTypingIndicatorV1"))
      try link.say(#"{"id":\#(user == "u" ? 1 : 2),"result":{}}"#)
      try await typing
    }
  }
}
