import AvaloCore
import Synchronization
import Testing

@testable import AvaloClient

@Suite(.timeLimit(.minutes(1))) struct RealtimeClientTests {
  private struct Enough: Error {}

  private func client(_ server: TestServer) -> RealtimeClient {
    var client = RealtimeClient(server.endpoint) { .token("t") }
    client.deviceID = "d"
    client.backoff = 1...5
    return client
  }

  @Test func comesBackWithItsPositionsAndLeavesOutWhatItSaw() async throws {
    let greetings = Mutex<[String]>([])
    let server = try await TestServer.start { peer, happening in
      guard case .text(let text) = happening, text.read({ $0["connect"] != nil }) else { return }
      let attempt = greetings.withLock {
        $0.append(text.description)
        return $0.count
      }
      peer.sayReady()
      switch attempt {
      case 1:
        peer.sayEvent(1, epoch: "0000000000000001")
        peer.sayEvent(2)
        peer.drop()
      case 2:
        // Sends 2 again, as after an acknowledgement that was lost.
        peer.sayEvent(2, epoch: "0000000000000001")
        peer.sayEvent(3)
        peer.close(code: 4001)
      default: peer.sayEvent(4, epoch: "0000000000000001")
      }
    }
    var offsets: [UInt64] = []
    var losses = 0
    await #expect(throws: Enough.self) {
      try await client(server).run { update in
        switch update {
        case .event(let delivery): offsets.append(delivery.offset)
        case .disconnected: losses += 1
        case .hole(_, let hole): Issue.record("a hole: \(hole)")
        default: break
        }
        if offsets.last == 4 { throw Enough() }
      }
    }
    #expect(offsets == [1, 2, 3, 4])
    #expect(losses == 2)
    let said = greetings.withLock { $0 }
    #expect(said[0] == #"{"connect":{"token":"t","deviceId":"d"}}"#)
    #expect(said[1].contains(#""positions":{"user:u":{"epoch":"0000000000000001","offset":2}}"#))
    #expect(said[2].contains(#""offset":3}"#))
    try await server.stop()
  }

  @Test func whatWasHandledIsAcknowledged() async throws {
    let (acks, said) = AsyncStream.makeStream(of: String.self)
    let server = try await TestServer.start { peer, happening in
      guard case .text(let text) = happening else { return }
      if text.read({ $0["connect"] != nil }) {
        peer.sayReady()
        peer.sayEvent(7, epoch: "0000000000000001")
      } else {
        said.yield(text.description)
      }
    }
    let listening = Task { [client = client(server)] in try await client.run { _ in } }
    var iterator = acks.makeAsyncIterator()
    #expect(await iterator.next() == #"{"ack":[{"topic":"user:u","epoch":"0000000000000001","offset":7}]}"#)
    listening.cancel()
    _ = await listening.result
    try await server.stop()
  }

  @Test func aRefusalForGoodEndsIt() async throws {
    let attempts = Mutex(0)
    let server = try await TestServer.start { peer, happening in
      guard case .text = happening else { return }
      attempts.withLock { $0 += 1 }
      peer.close(code: 4500, text: "unauthenticated")
    }
    await #expect(throws: ClientError.closed(CloseReason(code: 4500, text: "unauthenticated"))) {
      try await client(server).run { _ in }
    }
    #expect(attempts.withLock { $0 } == 1)
    try await server.stop()
  }

  @Test func goesAwayWhenAskedAndComesBack() async throws {
    let attempts = Mutex(0)
    let server = try await TestServer.start { peer, happening in
      guard case .text(let text) = happening, text.read({ $0["connect"] != nil }) else { return }
      peer.sayReady()
      if attempts.withLock({
        $0 += 1
        return $0
      }) == 1 {
        peer.say(#"{"goaway":{"retryAfterMs":321}}"#)
        peer.close(code: 4000, text: "going_away")
      }
    }
    var connects = 0
    var delays: [Int] = []
    await #expect(throws: Enough.self) {
      try await client(server).run { update in
        if case .disconnected(_, let delay) = update { delays.append(delay) }
        if case .connected = update { connects += 1 }
        if connects == 2 { throw Enough() }
      }
    }
    #expect(delays == [321], "everybody comes back at a time of their own")
    try await server.stop()
  }

  @Test func tellsAHoleThatNobodyAnnounced() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .text(let text) = happening, text.read({ $0["connect"] != nil }) else { return }
      peer.sayReady()
      peer.sayEvent(1, epoch: "0000000000000001")
      peer.sayEvent(4)
    }
    var hole: ClosedRange<UInt64>?
    await #expect(throws: Enough.self) {
      try await client(server).run { update in
        if case .hole(_, let offsets) = update { hole = offsets }
        if case .event(let delivery) = update, delivery.offset == 4 { throw Enough() }
      }
    }
    #expect(hole == 2...3)
    try await server.stop()
  }

  @Test func cancellingEndsAListenerThatHasNothingToHear() async throws {
    let (connected, tell) = AsyncStream.makeStream(of: Void.self)
    let server = try await TestServer.start { peer, happening in
      if case .text = happening { peer.sayReady() }
    }
    let listening = Task { [client = client(server)] in
      try await client.run { if case .connected = $0 { tell.yield() } }
    }
    for await _ in connected { break }
    listening.cancel()
    await #expect(throws: CancellationError.self) { try await listening.value }
    try await server.stop()
  }
}
