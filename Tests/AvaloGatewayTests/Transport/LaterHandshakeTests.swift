import AvaloCore
import AvaloReactor
import AvaloTesting
import AvaloWire
import NIOCore
import Testing

@testable import AvaloGateway

/// A WebSocket on a connection that carried requests: proxies and load balancers use theirs again.
@Suite(.serialized) struct LaterHandshakeTests {
  private let head = "HTTP/1.1 101 "

  private func expectOK(_ probe: SocketProbe) throws {
    let head = try probe.answer().head
    #expect(head.hasPrefix("HTTP/1.1 200 ") && !head.contains("Connection: close"), "\(head)")
  }

  /// Of a connection that is a WebSocket now, what is sent comes back.
  private func expectEcho(_ probe: SocketProbe, _ texts: String...) throws {
    for text in texts {
      try probe.send(text: text)
      #expect(try probe.frame().text == text)
    }
  }

  @Test(arguments: TransportKind.allCases)
  func comesAfterRequestsThatWereAnswered(kind: TransportKind) async throws {
    try await TransportRig.run(kind, answersHTTP: true) { rig in
      let probe = try rig.dial()
      for _ in 0..<3 {
        try probe.send(HTTPBackend.get)
        try expectOK(probe)
      }
      try probe.send(
        TransportRig.request(
          "/ws?ticket=t", extra: "Sec-WebSocket-Protocol: avalo.v1, other\r\nOrigin: https://a.b\r\n"))
      #expect(
        try probe.head()
          == "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: avalo.v1\r\n\r\n")
      try expectEcho(probe, "", "hello", String(repeating: "x", count: 80_000))
      #expect(
        rig.requests.withLock { $0 } == [
          UpgradeRequest(
            path: "/ws", query: "ticket=t", origin: "https://a.b", protocols: ["avalo.v1", "other"],
            peerAddress: "127.0.0.1")
        ])
      #expect(rig.outcomes.withLock { $0 } == [.accepted])
      probe.close()
      #expect(rig.waitForClosed(clean: false))
    }
  }

  @Test(arguments: TransportKind.allCases)
  func comesInAnyPieces(kind: TransportKind) async throws {
    try await TransportRig.run(kind, answersHTTP: true) { rig in
      let probe = try rig.dial()
      try probe.send(HTTPBackend.get)
      try expectOK(probe)
      for byte in TransportRig.request() + ClientFrame.text("slow").bytes { try probe.send([byte]) }
      #expect(try probe.head().hasPrefix(head))
      #expect(try probe.frame().text == "slow")
    }
  }

  /// What the HTTP decoder read ahead belongs to the WebSocket.
  @Test(arguments: TransportKind.allCases)
  func losesNothingThatComesBehindIt(kind: TransportKind) async throws {
    try await TransportRig.run(kind, answersHTTP: true) { rig in
      let texts = (0..<400).map { "early \($0) " + String(repeating: "x", count: 200) }
      let early = texts.flatMap { ClientFrame.text($0).bytes }
      // Behind an answer that was read, and in the same packet as requests that are not answered yet.
      for isAtOnce in [false, true] {
        let probe = try rig.dial()
        try probe.send(HTTPBackend.get)
        if !isAtOnce { try expectOK(probe) }
        try probe.send((isAtOnce ? HTTPBackend.get : []) + TransportRig.request() + early)
        if isAtOnce {
          try expectOK(probe)
          try expectOK(probe)
        }
        #expect(try probe.head().hasPrefix(head))
        for text in texts { #expect(try probe.frame().text == text) }
        try expectEcho(probe, "and on")
      }
    }
  }

  @Test(arguments: TransportKind.allCases)
  func waitsForTheAnswersBeforeIt(kind: TransportKind) async throws {
    try await TransportRig.run(kind, answersHTTP: true) { rig in
      let backend = try #require(rig.backend)
      try backend.play { $0.publishAnswer = nil }
      let probe = try rig.dial()
      try probe.send(backend.publish("a") + backend.publish("b"))
      try probe.send(TransportRig.request() + ClientFrame.text("early").bytes)
      #expect(rig.recorder.wait { _ in (try? backend.play { $0.waiting.count }) == 2 })
      // Somebody else's round trip: whatever was to happen without the answers has happened.
      let other = try rig.dial()
      try other.send(HTTPBackend.get)
      try expectOK(other)
      #expect(rig.outcomes.withLock { $0 } == [])
      try backend.play { $0.answerWaiting(at: 1, offset: 2) }
      try backend.play { $0.answerWaiting(at: 0, offset: 1) }
      for id in ["a", "b"] { #expect(try probe.answer().body.contains(#""eventId":"\#(id)""#)) }
      #expect(try probe.head().hasPrefix(head))
      #expect(try probe.frame().text == "early")
      try expectEcho(probe, "and on")
    }
  }

  /// The client reads slowly: the kernel has only a part of an answer when the handshake comes.
  @Test(arguments: TransportKind.allCases)
  func doesNotOvertakeAnAnswerThatIsHalfWritten(kind: TransportKind) async throws {
    try await TransportRig.run(kind, answersHTTP: true) { rig in
      let backend = try #require(rig.backend)
      try backend.playLargePresence()
      let users = (0..<500).map { "\"u\($0)\"" }.joined(separator: ",")
      let answers = 40
      let probe = try rig.dial(receiveBuffer: 4096)
      let request = backend.call("getPresenceV1", #"{"userIds":[\#(users)]}"#)
      for _ in 0..<answers { try probe.send(request) }
      try probe.send(TransportRig.request() + ClientFrame.text("early").bytes)
      for _ in 0..<answers {
        let whole = try probe.answer()
        #expect(whole.head.hasPrefix("HTTP/1.1 200 ") && whole.body.hasSuffix("}}}"))
        #expect(whole.body.contains(#""u499":{"status":"offline""#))
      }
      let last = try probe.head()
      try #require(last.hasPrefix(head), "\(last)")
      #expect(try probe.frame().text == "early")
      try expectEcho(probe, "and on")
    }
  }

  @Test(arguments: TransportKind.allCases)
  func isJudgedAsAFirstRequestIs(kind: TransportKind) async throws {
    try await TransportRig.run(kind, answersHTTP: true) { rig in
      func head(behind first: [UInt8] = HTTPBackend.get, _ request: [UInt8]) throws -> String {
        let probe = try rig.dial()
        try probe.send(first)
        try expectOK(probe)
        try probe.send(request)
        return try probe.answer().head
      }
      let good = String(decoding: TransportRig.request(), as: UTF8.self)
      let version = try head(Array(good.replacing("Version: 13", with: "Version: 8").utf8))
      #expect(version.hasPrefix("HTTP/1.1 426 ") && version.contains("Sec-WebSocket-Version: 13\r\n"))
      #expect(try head(Array(good.replacing("ZQ==", with: "ZQ").utf8)).hasPrefix("HTTP/1.1 400 "))
      #expect(try head(TransportRig.request("/ws?refuse")).hasPrefix("HTTP/1.1 403 Forbidden\r\nX-Why: asked for\r\n"))
      #expect(rig.outcomes.withLock { $0 } == [.malformed, .malformed, .refused(status: 403)])
      // What is no handshake for us is HTTP's to refuse, as ever.
      #expect(try head(TransportRig.request("/other")).hasPrefix("HTTP/1.1 404 "))
      let other = try head(Array(good.replacing("Upgrade: websocket", with: "Upgrade: h2c").utf8))
      #expect(other.hasPrefix("HTTP/1.1 426 ") && other.contains("Connection: close\r\n"))
      #expect(rig.outcomes.withLock { $0 }.count == 3)
      // A drain begins while the proxy still has its connections to us.
      let last = try rig.dial()
      try last.send(HTTPBackend.get)
      try expectOK(last)
      rig.backend?.health.drain()
      try last.send(TransportRig.request())
      let refusal = try last.answer()
      #expect(refusal.head.hasPrefix("HTTP/1.1 503 ") && refusal.body.contains("draining"))
      try last.expectEnd()
    }
  }

  @Test(arguments: TransportKind.allCases)
  func isCountedOnceForItsAddress(kind: TransportKind) async throws {
    let budget = AddressBudget(connectionsPerAddressMax: 2)
    for countsAtOnce in [false, true] {
      try await TransportRig.run(kind, addresses: budget, countsAtOnce: countsAtOnce, answersHTTP: true) { rig in
        let probe = try rig.dial()
        try probe.send(HTTPBackend.get)
        try expectOK(probe)
        try probe.send(TransportRig.request())
        #expect(try probe.head().hasPrefix(head))
        try expectEcho(probe, "here")
        #expect(budget.count("127.0.0.1") == 1)
        probe.close()
        #expect(rig.recorder.wait { _ in budget.count("127.0.0.1") == 0 })
      }
    }
  }
}
