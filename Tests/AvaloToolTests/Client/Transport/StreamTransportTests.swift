import AvaloCore
import Testing

@testable import AvaloClient

@Suite(.timeLimit(.minutes(1))) struct StreamTransportTests {
  private static let ready =
    #"{"ready":{"connectionId":"c1","userId":"u","deviceId":"d","subscriptions":["user:u"],"denied":[],"#
    + #""pingInterval":25000,"serverTime":1}}"#

  private static func event(_ offset: Int) -> String {
    #"{"event":{"eventId":"e\#(offset)","type":"chat_message","payload":{},"timestamp":1},"topic":"user:u","#
      + #""epoch":"0000000000000001","offset":\#(offset)}"#
  }

  private func options(_ server: TestServer, _ transports: [any RealtimeTransport] = [StreamTransport()])
    -> ClientOptions
  {
    var options = ClientOptions(server.endpoint, deviceID: "d")
    options.transports = transports
    options.reconnectIntervalMilliseconds = 1
    return options
  }

  /// A server that lets everybody in: each request's end of the stream and its body, and each connection's end.
  private func streaming(
    begins: Bool = true
  ) async throws -> (TestServer, requests: Mailbox<(TestPeer, String)>, closed: Mailbox<Void>) {
    let requests = Mailbox<(TestPeer, String)>()
    let closed = Mailbox<Void>()
    let server = try await TestServer.start { peer, happening in
      guard case .request(let request) = happening else { return }
      peer.channel.closeFuture.whenComplete { _ in closed.put(()) }
      peer.beginStream()
      if begins { peer.stream(message: Self.ready) }
      requests.put((peer, String(decoding: request.body, as: UTF8.self)))
    }
    return (server, requests, closed)
  }

  @Test func asksAsTheProtocolSaysAndReadsTheAnswerHoweverItIsCut() async throws {
    let requests = Mailbox<HTTPRequest>()
    let server = try await TestServer.start { peer, happening in
      guard case .request(let request) = happening else { return }
      requests.put(request)
      peer.beginStream()
      let lines = [
        ": ping", "", "data: {\"message\":\(Self.ready)}", "", "data: {\"message\":\(Self.event(5))}", "", "",
      ]
      for byte in lines.joined(separator: "\r\n").utf8 { peer.stream([byte]) }
    }
    let client = RealtimeClient(options(server))
    try await client.connect(userID: "u", token: .fixed("t"))
    var events = client.events.makeAsyncIterator()
    #expect(await events.next()?.eventID == "e5")
    let request = try await requests.next()
    #expect(request.method == "POST" && request.target == "/subscribeToRealtimeEventsV1")
    let headers = Dictionary(request.headers.map { ($0.name, $0.value) }, uniquingKeysWith: { a, _ in a })
    #expect(headers["accept"] == "text/event-stream" && headers["authorization"] == "Bearer t")
    #expect(String(decoding: request.body, as: UTF8.self) == #"{"data":{"deviceId":"d","subscriptions":["user:u"]}}"#)
    await client.shutdown()
    try await server.stop()
  }

  @Test func beginsAgainBehindWhatWasProcessed() async throws {
    let (server, requests, _) = try await streaming()
    let client = RealtimeClient(options(server))
    try await client.connect(userID: "u", token: .fixed("t"))
    var events = client.events.makeAsyncIterator()
    let (first, _) = try await requests.next()
    first.stream(message: Self.event(5))
    #expect(await events.next()?.eventID == "e5")
    await events.finishCurrent()
    // In the middle of an event.
    first.stream("data: {\"message\":{\"ev".utf8)
    first.drop()
    let (second, body) = try await requests.next()
    #expect(body.contains(#""positions":{"user:u":{"epoch":"0000000000000001","offset":5}}"#))
    second.stream(message: Self.event(5))
    second.stream(message: Self.event(6))
    #expect(await events.next()?.eventID == "e6")
    await client.shutdown()
    try await server.stop()
  }

  @Test func asksAnewForWhatWasWantedWhileItBegan() async throws {
    let (server, requests, closed) = try await streaming(begins: false)
    let client = RealtimeClient(options(server))
    async let connecting: Void = client.connect(userID: "u", token: .fixed("t"))
    let (first, body) = try await requests.next()
    #expect(body.contains(#""subscriptions":["user:u"]"#))
    try await client.subscribe(to: ["chat:c"])
    first.stream(message: Self.ready)
    try await connecting
    try await closed.next()
    let (second, more) = try await requests.next()
    #expect(more.contains(#""subscriptions":["user:u","chat:c"]"#))
    second.stream(message: Self.ready)
    try await until { await client.state == .connected }
    await client.shutdown()
    try await server.stop()
  }

  @Test(arguments: [
    (#"{"error":{"status":"UNAUTHENTICATED","message":"no"}}"#, DisconnectReason.unauthenticated),
    // Not even the inbox: the token is another user's.
    (#"{"error":{"status":"PERMISSION_DENIED","message":"no"}}"#, .unauthenticated),
    (#"{"result":{"code":4505,"reason":"disconnected"}}"#, .disconnected),
    (#"{"result":{"enabled":false}}"#, .featureDisabled),
  ]) func stopsWhenItIsToldTo(line: String, reason: DisconnectReason) async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .request = happening else { return }
      peer.beginStream()
      peer.stream("data: \(line)\n\n".utf8)
      peer.endStream()
    }
    let client = RealtimeClient(options(server))
    await #expect(throws: ClientError.disconnected(reason)) {
      try await client.connect(userID: "u", token: .fixed("t"))
    }
    await client.shutdown()
    try await server.stop()
  }

  @Test func comesBackWhenTheServerAsksForAPause() async throws {
    let (server, requests, _) = try await streaming()
    let client = RealtimeClient(options(server))
    try await client.connect(userID: "u", token: .fixed("t"))
    let (peer, _) = try await requests.next()
    peer.stream(message: #"{"goaway":{"retryAfterMs":1}}"#)
    peer.stream(#"data: {"result":{"code":4000,"reason":"going_away"}}"#.utf8)
    peer.stream("\n\n".utf8)
    _ = try await requests.next()
    #expect(await client.lastEnding.code == 4000)
    #expect(await client.reconnectAttempts == 0, "to be asked is no failure")
    await client.shutdown()
    try await server.stop()
  }

  @Test func silenceEndsTheConnectionThoughNobodyReads() async throws {
    let (server, _, closed) = try await streaming()
    let clock = ManualClock()
    let client = RealtimeClient(options(server), clock: clock) { 0.5 }
    try await client.connect(userID: "u", token: .fixed("t"))
    #expect(await client.transportName == "sse")
    // The server's ping interval and the grace.
    clock.advance(by: 35_000)
    try await closed.next()
    #expect(await client.lastEnding.text.contains("silent"))
    await client.shutdown()
    try await server.stop()
  }

  @Test func tellsHeartbeatsAndBreaksALineWithoutEndOff() async throws {
    let closed = Mailbox<Void>()
    let server = try await TestServer.start { peer, happening in
      guard case .request = happening else { return }
      peer.channel.closeFuture.whenComplete { _ in closed.put(()) }
      peer.beginStream()
      peer.stream(": ping\n\n".utf8)
      peer.stream([UInt8](repeating: UInt8(ascii: "x"), count: ClientLimits.streamLineBytesMax + 1))
    }
    let told = Mailbox<TransportEvent>()
    let opening = TransportOpening(endpoint: server.endpoint, request: ConnectRequest(.token("t")))
    let link = StreamTransport().open(opening) { told.put($0) }
    guard case .alive = try await told.next() else { throw CancellationError() }
    while true {
      guard case .closed(let ending) = try await told.next() else { continue }
      #expect(ending.text.contains("more than \(ClientLimits.streamLineBytesMax) bytes"))
      #expect(!ending.isTheServersWord)
      break
    }
    try await closed.next()
    await link.waitUntilClosed()
    try await server.stop()
  }

  @Test func shutdownEndsTheConnection() async throws {
    let (server, _, closed) = try await streaming()
    let client = RealtimeClient(options(server))
    try await client.connect(userID: "u", token: .fixed("t"))
    await client.shutdown()
    try await closed.next()
    try await server.stop()
  }

  @Test func standsInForAWebSocketUntilOnePasses() async throws {
    let (server, _, closed) = try await streaming()
    let clock = ManualClock()
    let best = FakeTransport("websocket")
    var options = options(server, [best, StreamTransport(), PollTransport()])
    options.reconnectIntervalMilliseconds = 1_000
    let client = RealtimeClient(options, clock: clock) { 0.5 }
    async let connecting: Void = client.connect(userID: "u", token: .fixed("t"))
    for _ in 0..<2 {
      try await best.openings.next().end(1006)
      try await until { await client.machine.phase == .waiting }
      clock.advance(by: 30_000)
    }
    try await connecting
    #expect(await client.transportName == "sse")
    clock.advance(by: 5_000)
    let link = try await best.openings.next()
    try await closed.next()
    try link.ready()
    try await until { await client.state == .connected }
    #expect(await client.transportName == "websocket")
    await client.shutdown()
    try await server.stop()
  }

  @Test func whereNothingStreamsThereArePolls() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .request(let request) = happening, request.target == "/subscribeToRealtimeEventsV1" else { return }
      peer.reply(200, #"{"result":{"enabled":true,"connectionId":"c9","subscriptions":["user:u"],"denied":[]}}"#)
    }
    let client = RealtimeClient(options(server, [StreamTransport(), PollTransport()]))
    try await client.connect(userID: "u", token: .fixed("t"))
    #expect(await client.transportName == "poll")
    await client.shutdown()
    try await server.stop()
  }

  @Test(arguments: [true, false]) func findsOutWhetherStreamsPass(streams: Bool) async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .request = happening else { return }
      guard streams else { return peer.reply(200, #"{"result":{}}"#) }
      peer.beginStream()
      peer.stream("data: {\"error\":{}}\n\n".utf8)
      peer.endStream()
    }
    let opening = TransportOpening(endpoint: server.endpoint, request: ConnectRequest(.token("t")))
    #expect(await StreamTransport().passes(opening) == streams)
    try await server.stop()
  }
}
