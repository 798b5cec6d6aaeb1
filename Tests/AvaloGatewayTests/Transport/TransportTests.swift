import AvaloReactor
import AvaloTesting
import NIOCore
import Testing

@testable import AvaloGateway

/// What a session relies on, whatever carries it: the same for plain connections on the reactor, and for those that stay
/// on NIO with and without TLS.
@Suite(.serialized) struct TransportTests {
  // MARK: Accepting

  @Test func keepsTheBacklogThatTheSocketWasBoundWith() async throws {
    try await TransportRig.run(.reactor) { rig in
      #expect(ListenerBootstrap.backlog(of: rig.listenerDescriptor) == TransportRig.backlog)
    }
  }

  // MARK: Opening

  @Test(arguments: TransportKind.allCases)
  func upgradesAndEchoes(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      let probe = try rig.dial()
      let extra = "Sec-WebSocket-Protocol: avalo.v1, other\r\nOrigin: https://a.b\r\n"
      try probe.send(TransportRig.request("/ws?ticket=t", extra: extra))
      #expect(
        try probe.head()
          == "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: avalo.v1\r\n\r\n")
      for text in ["", "hello", "€😀", String(repeating: "x", count: 80_000)] {
        try probe.send(text: text)
        #expect(try probe.frame().text == text)
      }
      #expect(
        rig.requests.withLock { $0 } == [
          UpgradeRequest(
            path: "/ws", query: "ticket=t", origin: "https://a.b", protocols: ["avalo.v1", "other"],
            peerAddress: "127.0.0.1")
        ])
      #expect(rig.outcomes.withLock { $0 } == [.accepted])
      #expect(rig.recorder.events.first == .opened(path: "/ws"))
    }
  }

  @Test(arguments: TransportKind.allCases)
  func losesNothingThatComesEarly(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      let texts = (0..<400).map { "early \($0) " + String(repeating: "x", count: 200) }
      let probe = try rig.connect(early: texts.flatMap { ClientFrame.text($0).bytes })
      for text in texts { #expect(try probe.frame().text == text) }
    }
  }

  @Test(arguments: TransportKind.allCases)
  func takesAHeadByteByByte(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      let probe = try rig.dial()
      for byte in TransportRig.request() + ClientFrame.text("slow").bytes { try probe.send([byte]) }
      _ = try probe.head()
      #expect(try probe.frame().text == "slow")
    }
  }

  @Test(arguments: TransportKind.allCases)
  func refusesAsThePolicySays(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      let probe = try rig.dial()
      try probe.send(TransportRig.request("/ws?refuse"))
      let head = try probe.head()
      #expect(head.hasPrefix("HTTP/1.1 403 Forbidden\r\nX-Why: asked for\r\nContent-Length: 2\r\n"))
      #expect(try probe.take(2) == Array("no".utf8))
      try probe.expectEnd()
      #expect(rig.outcomes.withLock { $0 } == [.refused(status: 403)])
      #expect(rig.recorder.events == [])
    }
  }

  @Test(arguments: TransportKind.allCases)
  func refusesWhenItIsFull(kind: TransportKind) async throws {
    try await TransportRig.run(kind, change: { $0.connectionsMax = 2 }) { rig in
      let first = try rig.connect()
      let second = try rig.connect()
      let third = try rig.dial()
      try third.send(TransportRig.request())
      #expect(try third.head().hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
      try second.send(text: "served")
      #expect(try second.frame().text == "served")
      // It is recorded when the answer has left, which the client may see first.
      #expect(rig.recorder.wait { _ in rig.outcomes.withLock { $0 } == [.accepted, .accepted, .overloaded] })
      first.close()
      #expect(rig.waitForClosed(clean: false))
      #expect(rig.recorder.wait { _ in kind != .reactor || rig.reactor.hasRoom })
      let fourth = try rig.connect()
      try fourth.send(text: "in")
      #expect(try fourth.frame().text == "in")
    }
  }

  @Test(arguments: TransportKind.allCases)
  func boundsTheConnectionsOfAnAddress(kind: TransportKind) async throws {
    let budget = AddressBudget(connectionsPerAddressMax: 2)
    try await TransportRig.run(kind, addresses: budget) { rig in
      let first = try rig.connect()
      let second = try rig.connect()
      let third = try rig.dial()
      try third.send(TransportRig.request())
      let head = try third.head()
      #expect(head.hasPrefix("HTTP/1.1 429 Too Many Requests\r\n") && head.contains("Retry-After: 1\r\n"))
      #expect(rig.outcomes.withLock { $0.last } == .addressFull)
      // A refusal by the policy counts for nothing.
      first.close()
      #expect(rig.recorder.wait { _ in budget.count("127.0.0.1") == 1 })
      let refused = try rig.dial()
      try refused.send(TransportRig.request("/ws?refuse"))
      #expect(try refused.head().hasPrefix("HTTP/1.1 403 "))
      #expect(budget.count("127.0.0.1") == 1)
      second.close()
    }
    #expect(budget.count("127.0.0.1") == 0)
  }

  /// Whoever opens connections and says nothing has their fill as well.
  @Test(arguments: TransportKind.allCases)
  func countsAConnectionOnceFromItsFirstMoment(kind: TransportKind) async throws {
    let budget = AddressBudget(connectionsPerAddressMax: 2)
    try await TransportRig.run(kind, addresses: budget, countsAtOnce: true) { rig in
      let silent = try rig.dial()
      let live = try rig.connect()
      try live.send(text: "here")
      #expect(try live.frame().text == "here")
      #expect(budget.count("127.0.0.1") == 2, "it was counted when it came, and not again as a WebSocket")
      let third = try rig.dial()
      #expect(try third.head().hasPrefix("HTTP/1.1 429 Too Many Requests\r\n"))
      #expect(rig.outcomes.withLock { $0.last } == .addressFull)
      silent.close()
      #expect(rig.recorder.wait { _ in budget.count("127.0.0.1") == 1 })
      let fourth = try rig.connect()
      fourth.close()
      live.close()
    }
    #expect(budget.count("127.0.0.1") == 0)
  }

  // MARK: The protocol

  @Test(arguments: TransportKind.allCases)
  func answersPingsBetweenFragments(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      let probe = try rig.connect()
      try probe.send(ClientFrame(.text, Array("one ".utf8), isFinal: false))
      try probe.send(ClientFrame(.ping, [1, 2, 3]))
      #expect(try probe.frame() == SocketProbe.Frame(opcode: 10, payload: [1, 2, 3]))
      try probe.send(ClientFrame(.continuation, Array("two".utf8)))
      #expect(try probe.frame().text == "one two")
    }
  }

  @Test(arguments: TransportKind.allCases)
  func closesOnABreachAndSaysWhich(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      let breaches: [(ClientFrame, UInt16)] = [
        (ClientFrame(.text, [0x61], mask: nil), 1002), (ClientFrame(.binary, [1]), 1003),
        (ClientFrame(.text, [0xC0, 0xAF]), 1007), (ClientFrame(.text, [UInt8](repeating: 97, count: 100_000)), 1009),
        (ClientFrame(.close, [1]), 1002),
      ]
      for (frame, code) in breaches {
        let probe = try rig.connect()
        try probe.send(ClientFrame.text("before").bytes + frame.bytes)
        #expect(try probe.frame().text == "before")
        #expect(try probe.frame().closeCode == code)
        try probe.expectEnd()
      }
      #expect(rig.waitForClosed(breaches.count, clean: false))
      #expect(rig.counters.closedProtocolError == UInt64(breaches.count))
    }
  }

  // MARK: Ends

  @Test(arguments: TransportKind.allCases)
  func answersAClose(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      let probe = try rig.connect()
      try probe.send(ClientFrame.text("last").bytes + ClientFrame.close(4321, "bye").bytes)
      #expect(try probe.frame().text == "last")
      #expect(try probe.frame() == SocketProbe.Frame(opcode: 8, payload: [0x10, 0xE1]))
      try probe.expectEnd()
      #expect(rig.waitForClosed(clean: true))
    }
  }

  @Test(arguments: TransportKind.allCases)
  func closesWhenToldTo(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      let probe = try rig.connect()
      rig.queue(100_000, "before")
      rig.recorder.onLoop { $0.writer.close($0.connections[0], code: 4000, reason: "going away") }
      // Crossing on the wire: must not take the Close frame with it.
      try probe.send(text: "crossing")
      #expect(try probe.frame().text.hasPrefix("before"))
      let frame = try probe.frame()
      #expect(frame.closeCode == 4000 && frame.text.hasSuffix("going away"))
      try probe.send(.close(4000))
      try probe.expectEnd()
      #expect(rig.waitForClosed(clean: true))
      #expect(rig.recorder.wait { _ in rig.recorder.onLoop { $0.writer.connectionCount } == 0 })
    }
  }

  @Test(arguments: [TransportKind.reactor, .nio])
  func finishesWritingToAPeerThatStoppedSending(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      let probe = try rig.connect(receiveBuffer: 4096)
      rig.queue(3 << 20, "long")
      try probe.send(text: "last words")
      probe.finishSending()
      #expect(try probe.frame().payload.count == 3 << 20)
      #expect(try probe.frame().text == "last words")
      try probe.expectEnd()
      #expect(rig.waitForClosed(clean: false))
    }
  }

  @Test(arguments: TransportKind.allCases)
  func noticesADrop(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      let orderly = try rig.connect()
      orderly.close()
      #expect(rig.waitForClosed(1, clean: false))
      if kind != .nioTLS {
        let reset = try rig.connect()
        reset.reset()
        #expect(rig.waitForClosed(2, clean: false))
      }
    }
  }

  // MARK: The slow and the silent

  @Test(arguments: TransportKind.allCases)
  func holdsForASlowReaderAndTellsWhenItIsDrained(kind: TransportKind) async throws {
    try await TransportRig.run(kind, echoes: false, change: { $0.outboxBytesMax = 64 << 20 }) { rig in
      let probe = try rig.connect(receiveBuffer: 4096)
      let frames = 300
      for number in 0..<frames { rig.queue(40_000, "\(number) ") }
      #expect(rig.backlog > 1 << 20)
      #expect(!rig.recorder.events.contains(.drained))
      for number in 0..<frames {
        let frame = try probe.frame()
        guard frame.text.hasPrefix("\(number) "), frame.payload.count == 40_000 else {
          Issue.record("frame \(number) is \(frame)")
          return
        }
      }
      #expect(rig.recorder.wait { $0.last == .drained })
      #expect(rig.backlog == 0)
    }
  }

  @Test(arguments: TransportKind.allCases)
  func closesAReaderWhoseOutboxIsFull(kind: TransportKind) async throws {
    try await TransportRig.run(kind, echoes: false, change: { $0.outboxBytesMax = 1 << 20 }) { rig in
      let probe = try rig.connect(receiveBuffer: 4096)
      for _ in 0..<1_000 where rig.counters.closedSlow == 0 { rig.queue(60_000) }
      #expect(rig.counters.closedSlow == 1)
      var last = try probe.frame()
      while last.opcode == 1 {
        #expect(last.payload.count == 60_000, "whole frames to the end")
        last = try probe.frame()
      }
      #expect(last.closeCode == 4002)
      probe.close()
      #expect(rig.waitForClosed(clean: false))
    }
  }

  @Test(arguments: TransportKind.allCases)
  func pingsTheSilentAndClosesThemAfterTheGrace(kind: TransportKind) async throws {
    let clock = ManualClock()
    try await TransportRig.run(kind, clock: clock.clock) { rig in
      let silent = try rig.connect()
      let lively = try rig.connect()
      try lively.send(text: "here")
      #expect(try lively.frame().text == "here")
      for _ in 0..<70 {
        clock.advance(seconds: 1)
        // The second `onLoop` returns after the first one's turn, which ticked.
        for _ in 0..<2 { _ = rig.recorder.onLoop { $0.writer.nowSeconds } }
        if rig.counters.pingsSent > 0 { try lively.send(ClientFrame(.pong)) }
        // Received before the clock goes on.
        try lively.send(ClientFrame(.ping, [7]))
        while try lively.frame().opcode != 10 {}
      }
      #expect(try silent.frame().opcode == 9)
      #expect(try silent.frame().closeCode == 4003)
      #expect(rig.waitForClosed(1, clean: false))
      #expect(rig.counters.closedIdle == 1)
      try lively.send(text: "still here")
      #expect(try lively.frame().text == "still here")
    }
  }

  // MARK: Fan-out

  @Test(arguments: TransportKind.allCases)
  func givesManyConnectionsTheSameBytesOnceATurn(kind: TransportKind) async throws {
    try await TransportRig.run(kind, echoes: false) { rig in
      let probes = try (0..<20).map { _ in try rig.connect() }
      #expect(rig.recorder.wait { $0.count == 20 })
      _ = rig.recorder.onLoop { _ in 0 }  // the turn of the last upgrade is over
      let before = rig.counters.sends
      rig.recorder.onLoop { application in
        let bytes: [UInt8] = [0x81, 0x02, 0x68, 0x69, 0x81, 0x01, 0x21]
        let start = application.writer.allocate(bytes.count)
        start.copyMemory(from: bytes, byteCount: bytes.count)
        for connection in application.connections {
          application.writer.queue(connection, UnsafeRawBufferPointer(start: start, count: bytes.count))
        }
      }
      for probe in probes {
        #expect(try probe.frame().text == "hi")
        #expect(try probe.frame().text == "!")
      }
      #expect(rig.counters.sends == before + 20)
    }
  }

  @Test(arguments: TransportKind.allCases)
  func survivesChurn(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      var random = TestRandom(seed: 17)
      var answered = 0
      var probes: [SocketProbe] = []
      for round in 0..<400 {
        if probes.count < 20 || Bool.random(using: &random) { probes.append(try rig.connect("/ws?\(round)")) }
        let at = Int.random(in: 0..<probes.count, using: &random)
        let probe = probes[at]
        var leaves = true
        switch Int.random(in: 0..<8, using: &random) {
        case 0: try probe.send(random.bytes(Int.random(in: 1...300, using: &random)))
        case 1: probe.reset()
        case 2: probe.finishSending()
        case 3: try probe.send(.close(1000))
        case 4: try probe.send(ClientFrame(.text, [0x61], isFinal: false).bytes + [0x80])
        default:
          try probe.send(text: "\(round)")
          #expect(try probe.frame().text == "\(round)")
          answered += 1
          leaves = false
        }
        if leaves || probes.count > 50 { probes.remove(at: at).close() }
      }
      #expect(answered > 100)
      for probe in probes { probe.close() }
      #expect(rig.recorder.wait { _ in rig.recorder.onLoop { $0.writer.connectionCount } == 0 })
      let counters = rig.counters
      #expect(counters.opened == counters.closed)
    }
  }
}
