import AvaloCore
import Synchronization
import Testing

@testable import AvaloClient

@Suite(.timeLimit(.minutes(1))) struct RealtimeConnectionTests {
  @Test func authenticatesAndReadsFramesInOrder() async throws {
    let server = try await TestServer.start { peer, happening in
      switch happening {
      case .text(let text):
        // Only the right greeting is answered.
        guard text.description == #"{"connect":{"token":"t","deviceId":"d1"}}"# else { return peer.close(code: 4500) }
        peer.sayReady()
        peer.sayEvent(1, epoch: "0000000000000001")
        peer.sayInPieces(#"{"live":{"topic":"user:u","epoch":"0000000000000001","offset":1}}"#)
        peer.close(code: 4000, text: "going_away")
      default: break
      }
    }
    let connection = try await RealtimeConnection.open(server.endpoint, ConnectRequest(.token("t"), deviceID: "d1"))
    #expect(connection.ready.userID == "u")
    var kinds: [String] = []
    for await frame in connection.frames {
      switch frame {
      case .event(let delivery): kinds.append("event \(delivery.offset)")
      case .live(_, let position): kinds.append("live \(position.offset)")
      default: kinds.append("other")
      }
    }
    #expect(kinds == ["event 1", "live 1"])
    let reason = await connection.closeReason
    #expect(reason == CloseReason(code: 4000, text: "going_away"))
    #expect(reason.isRetryable)
    try await server.stop()
  }

  @Test func callsAreAnsweredByTheirIds() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .text(let text) = happening else { return }
      text.read { view in
        guard let call = view["call"]?.string, let id = view["id"]?.integer else { return peer.sayReady() }
        if call == "slow" {
          // Answered after the one that was asked later.
          peer.channel.eventLoop.execute { peer.say(#"{"id":\#(id),"result":"late"}"#) }
        } else if call == "refuse" {
          peer.say(#"{"id":\#(id),"error":{"status":"PERMISSION_DENIED","message":"not yours"}}"#)
        } else {
          peer.say(#"{"id":\#(id),"result":"soon"}"#)
        }
      }
    }
    let connection = try await RealtimeConnection.open(server.endpoint, ConnectRequest(.token("t")))
    async let late = connection.call("slow")
    async let soon = connection.call("quick")
    #expect(try await late.description == #""late""#)
    #expect(try await soon.description == #""soon""#)
    await #expect(throws: ClientError.refused(CallError(.permissionDenied, "not yours"))) {
      _ = try await connection.call("refuse")
    }
    connection.close()
    try await server.stop()
  }

  @Test func aRefusalBeforeReadyIsTold() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .text = happening else { return }
      peer.say(#"{"error":{"status":"UNAUTHENTICATED","message":"the token has expired"}}"#)
      peer.close(code: 4500)
    }
    await #expect(throws: ClientError.refused(CallError(.unauthenticated, "the token has expired"))) {
      _ = try await RealtimeConnection.open(server.endpoint, ConnectRequest(.token("t")))
    }
    try await server.stop()
  }

  @Test func aServerThatGrantsNoWebSocketIsToldWithItsAnswer() async throws {
    let server = try await TestServer.start { peer, happening in
      if case .request = happening { peer.reply(503, #"{"error":{"status":"UNAVAILABLE","message":"draining"}}"#) }
    }
    let request = ConnectRequest(.ticket(url: "ws://127.0.0.1/other?ticket=x"))
    let error = await #expect(throws: ClientError.self) {
      _ = try await RealtimeConnection.open(server.endpoint, request)
    }
    #expect(error?.description.contains("503") == true)
    try await server.stop()
  }

  @Test func nobodyListeningIsUnreachable() async throws {
    // Port 1: nobody is ever there.
    let endpoint = Endpoint.tcp(host: "127.0.0.1", port: 1)
    let error = await #expect(throws: ClientError.self) {
      _ = try await RealtimeConnection.open(endpoint, ConnectRequest(.token("t")))
    }
    guard case .unreachable(let why) = error else { return #expect(Bool(false), "\(String(describing: error))") }
    #expect(why.contains("refused"))
  }

  @Test func aTicketIsPresentedAsItCame() async throws {
    let target = Mutex("")
    let server = try await TestServer.start { peer, happening in
      guard case .opened(let uri) = happening else { return }
      target.withLock { $0 = uri }
      peer.channel.eventLoop.execute { peer.sayReady() }
    }
    let url = "ws://127.0.0.1:\(server.port)/ws?ticket=abc.def"
    let connection = try await RealtimeConnection.open(server.endpoint, ConnectRequest(.ticket(url: url)))
    #expect(target.withLock { $0 } == "/ws?ticket=abc.def")
    connection.close()
    try await server.stop()
  }

  @Test func acknowledgementsTravelTogetherAndNoneIsLostAtTheEnd() async throws {
    let (texts, said) = AsyncStream.makeStream(of: JSONText.self)
    let server = try await TestServer.start { peer, happening in
      switch happening {
      case .text(let text):
        said.yield(text)
        if text.read({ $0["connect"] != nil }) { peer.sayReady() }
      case .closed: said.finish()
      default: break
      }
    }
    let connection = try await RealtimeConnection.open(server.endpoint, ConnectRequest(.token("t")))
    for offset in 1...1_000 {
      connection.acknowledge(["user:u": Position(epoch: Epoch(rawValue: 1), offset: UInt64(offset))])
    }
    connection.close()
    var offsets: [Int64] = []
    for await text in texts {
      text.read { view in
        for ack in view["ack"]?.elements ?? JSONText.emptyObject.read({ $0.elements }) {
          offsets.append(ack["offset"]?.integer ?? -1)
        }
      }
    }
    #expect(offsets.last == 1_000)
    #expect(offsets == offsets.sorted() && offsets.count < 100)
    try await server.stop()
  }

  @Test func pingsAndSaysHowLongItTook() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .text(let text) = happening else { return }
      if let id = text.read({ $0["ping"] == nil ? nil : $0["id"]?.integer }) {
        peer.say(#"{"id":\#(id),"pong":{"serverTime":1}}"#)
      } else {
        peer.sayReady()
      }
    }
    let connection = try await RealtimeConnection.open(server.endpoint, ConnectRequest(.token("t")))
    #expect(try await connection.ping() > .zero)
    connection.close()
    try await server.stop()
  }

  @Test func keepsTheConnectionWarm() async throws {
    let (pings, said) = AsyncStream.makeStream(of: Void.self)
    let server = try await TestServer.start { peer, happening in
      guard case .text(let text) = happening else { return }
      if text.description == #"{"ping":{}}"# {
        said.yield()
        peer.say(#"{"pong":{"serverTime":1}}"#)
      } else {
        peer.sayReady(pingInterval: 10)
      }
    }
    let connection = try await RealtimeConnection.open(server.endpoint, ConnectRequest(.token("t")))
    var count = 0
    for await _ in pings {
      count += 1
      if count == 3 { break }
    }
    connection.close()
    try await server.stop()
  }

  @Test func whoWaitsForAnAnswerIsToldThatTheConnectionBroke() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .text(let text) = happening else { return }
      if text.read({ $0["call"] != nil }) { peer.drop() } else { peer.sayReady() }
    }
    let connection = try await RealtimeConnection.open(server.endpoint, ConnectRequest(.token("t")))
    let error = await #expect(throws: ClientError.self) { _ = try await connection.call("f") }
    guard case .closed(let reason) = error else { return #expect(Bool(false), "\(String(describing: error))") }
    #expect(reason.code == 1006 && reason.isRetryable)
    try await server.stop()
  }

  @Test func aReaderThatLagsHoldsBackTheSocketAndLosesNothing() async throws {
    let count = 20_000
    let server = try await TestServer.start { peer, happening in
      guard case .text = happening else { return }
      peer.sayReady()
      for offset in 1...count { peer.sayEvent(offset) }
      peer.close(code: 4000)
    }
    let connection = try await RealtimeConnection.open(server.endpoint, ConnectRequest(.token("t")))
    var expected: UInt64 = 0
    for await frame in connection.frames {
      guard case .event(let delivery) = frame else { continue }
      expected += 1
      #expect(delivery.offset == expected)
      if expected % 5_000 == 0 { await Task.yield() }
    }
    #expect(expected == UInt64(count))
    try await server.stop()
  }

  @Test func aFrameThatCannotBeReadEndsTheConnection() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .text = happening else { return }
      peer.sayReady()
      peer.say(#"{"event":"no"}"#)
    }
    let connection = try await RealtimeConnection.open(server.endpoint, ConnectRequest(.token("t")))
    for await _ in connection.frames {}
    let reason = await connection.closeReason
    #expect(reason.code == 1006 && reason.text.contains("cannot be read"))
    try await server.stop()
  }
}
