import AvaloWire
import Glibc
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import AvaloLink

/// Both ends over a real Unix socket, each on its own loop, and raw peers that break the rules.
@Suite(.timeLimit(.minutes(1))) struct LinkTests {
  @Test func opensAndCarriesFramesBothWays() async throws {
    try await withEnds { ends in
      let client = try await ends.connect()
      #expect(await client.next() == .opened(generation: 7))
      #expect(await ends.server.next() == .opened(generation: nil))
      #expect(await ends.server.peerInstances == ["gateway.0"])
      await client.send { Publishes.write(count: 3, into: &$0) }
      #expect(await ends.server.nextFrames(3) == Publishes.expected(3))
      await ends.server.send { Publishes.write(count: 2, into: &$0) }
      #expect(await client.nextFrames(2) == Publishes.expected(2))
      #expect(client.counters.receivedBytes > 0 && client.counters.sentBytes > 0 && client.counters.opened == 1)
    }
  }

  @Test func allSendsOfOneTurnLeaveInOneWrite() async throws {
    try await withEnds { ends in
      let peer = try await ends.rawPeer()
      await peer.send(Handshake.hello())
      _ = await peer.receive()
      #expect(await ends.server.next() == .opened(generation: nil))
      let frame = Publishes.frame(0)
      await ends.server.sendSeparately(frame, times: 50)
      // One read of a stream socket gives what one write put there, as long as it fits.
      #expect(await peer.receive().count == 50 * frame.count)
    }
  }

  @Test func framesMayArriveByteByByte() async throws {
    try await withEnds { ends in
      let peer = try await ends.rawPeer()
      for byte in Handshake.hello() + Publishes.frame(0) + Publishes.frame(1) { await peer.send([byte]) }
      #expect(await ends.server.next() == .opened(generation: nil))
      #expect(await ends.server.nextFrames(2) == Publishes.expected(2))
    }
  }

  @Test func aFrameOfTheLargestSizePasses() async throws {
    try await withEnds { ends in
      let client = try await ends.connect()
      _ = await client.next()
      _ = await ends.server.next()
      await client.send { writer in
        writer.frame(FrameKind(rawValue: 0x8001)) {
          $0.blob([UInt8](repeating: 0x61, count: WireLimits.frameBodyBytesMax - 4))
        }
      }
      #expect(await ends.server.nextFrames(1) == ["32769 \(WireLimits.frameBodyBytesMax)"])
    }
  }

  @Test(arguments: [
    ("garbage", Array("GET / HTTP/1.1\r\n\r\n".utf8)),
    ("a frame before the hello", Publishes.frame(0)),
    ("a hello with a byte too many", Handshake.hello(trailing: [0])),
    ("a hello over its bound", Handshake.hello(instance: String(repeating: "x", count: 5000))),
    ("two hellos", Handshake.hello() + Handshake.hello()),
    ("reserved bits", Handshake.hello() + [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]),
    ("a body over the bound", Handshake.hello() + [0xFF, 0xFF, 0xFF, 0xFF, 1, 1, 0, 0, 0, 0, 0, 0]),
  ])
  func aPeerThatBreaksTheWireIsClosed(_ what: String, _ bytes: [UInt8]) async throws {
    try await withEnds { ends in
      let peer = try await ends.rawPeer()
      await peer.send(bytes)
      await peer.receiveToEnd()
      // And the server takes the next one.
      let client = try await ends.connect()
      #expect(await client.next() == .opened(generation: 7))
    }
  }

  @Test func aBodyThatDoesNotDecodeClosesTheLink() async throws {
    try await withEnds { ends in
      await ends.server.decode(Detach.self)
      let client = try await ends.connect()
      _ = await client.next()
      _ = await ends.server.next()
      await client.send { writer in
        writer.frame(Detach(sessions: [1]))
        writer.frame(Detach.kind) { $0.integer(UInt32(99)) }
        writer.frame(Detach(sessions: [2]))
      }
      let seen = await ends.server.nextFrames(1)
      #expect(seen == ["263 12"])
      guard case .closed(let reason) = await ends.server.next() else { return #expect(Bool(false), "not closed") }
      #expect(reason.contains("0x107"))
      #expect(await client.next() == .closed("closed by the peer"))
    }
  }

  @Test func anotherVersionIsRefusedWithAReason() async throws {
    try await withEnds { ends in
      let peer = try await ends.rawPeer()
      await peer.send(Handshake.hello(version: 99))
      let answer = await peer.receiveToEnd()
      let failed = try answer.withUnsafeBytes { bytes in
        let head = try #require(try Frame.head(of: bytes))
        #expect(head.kind == .failed)
        return try Failed(body: UnsafeRawBufferPointer(rebasing: bytes[Frame.headBytes...]))
      }
      #expect(failed.code == .failedPrecondition && failed.message.contains("99"))
    }
  }

  @Test func aRefusedClientComesBackUntilItIsWelcome() async throws {
    try await withEnds { ends in
      await ends.server.refuse(next: 3)
      let client = try await ends.connect()
      // Refusals are no openings: the first thing the owner hears is the success.
      #expect(await client.next() == .opened(generation: 7))
      #expect(await ends.server.refusalsLeft == 0)
    }
  }

  @Test func reconnectsAfterTheServerComesBack() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    let first = try await Server(path: folder.path + "/link")
    let client = try await Client(path: folder.path + "/link")
    #expect(await client.next() == .opened(generation: 7))
    await first.stop()
    guard case .closed = await client.next() else { return #expect(Bool(false), "not closed") }
    let second = try await Server(path: folder.path + "/link")
    #expect(await client.next() == .opened(generation: 7))
    #expect(await second.next() == .opened(generation: nil))
    await client.stop()
    #expect(await client.next() == .closed("shutting down"))
    guard case .closed = await second.next() else { return #expect(Bool(false), "not closed") }
    await second.stop()
  }

  @Test func connectsOnceTheSocketIsThere() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    let client = try await Client(path: folder.path + "/link")
    let server = try await Server(path: folder.path + "/link")
    #expect(await client.next() == .opened(generation: 7))
    await client.stop()
    await server.stop()
  }

  @Test func aSilentPeerIsProbedAndThenClosed() async throws {
    var bounds = LinkBounds()
    bounds.probeInterval = .milliseconds(30)
    try await withEnds(bounds) { ends in
      let peer = try await ends.rawPeer()
      await peer.send(Handshake.hello())
      #expect(await ends.server.next() == .opened(generation: nil))
      let said = await peer.receiveToEnd()
      // The welcome, then probes, then the end.
      var kinds: [FrameKind] = []
      said.withUnsafeBytes { bytes in
        var rest = bytes
        while let head = try? Frame.head(of: rest) {
          kinds.append(head.kind)
          rest = UnsafeRawBufferPointer(rebasing: rest[(Frame.headBytes + head.bodyBytes)...])
        }
      }
      #expect(kinds == [.welcome, .probe, .probe])
      #expect(await ends.server.next() == .closed("silent for 3 probes"))
    }
  }

  @Test func anIdleLinkThatAnswersProbesStays() async throws {
    var bounds = LinkBounds()
    bounds.probeInterval = .milliseconds(20)
    try await withEnds(bounds) { ends in
      let client = try await ends.connect()
      _ = await client.next()
      _ = await ends.server.next()
      // Longer than silence is borne; what ends the wait is the probes' own traffic, counted.
      let before = client.counters.receivedBytes
      while client.counters.receivedBytes < before + 10 * Frame.headBytes { await Task.yield() }
      await client.send { Publishes.write(count: 1, into: &$0) }
      #expect(await ends.server.nextFrames(1) == Publishes.expected(1))
    }
  }

  @Test func aPeerThatSaysNothingAtFirstIsCut() async throws {
    var bounds = LinkBounds()
    bounds.handshakeTimeMax = .milliseconds(50)
    try await withEnds(bounds) { ends in
      let peer = try await ends.rawPeer()
      #expect(await peer.receiveToEnd() == [])
    }
  }

  @Test func aSlowPeerIsSeenInTheBacklogAndItsDrainIsTold() async throws {
    var bounds = LinkBounds()
    bounds.highWaterBytes = 1 << 20
    bounds.lowWaterBytes = 1 << 18
    try await withEnds(bounds) { ends in
      let peer = try await ends.rawPeer()
      await peer.send(Handshake.hello())
      let welcome = await peer.receive()
      #expect(await ends.server.next() == .opened(generation: nil))
      let frame = Publishes.frame(0, payloadBytes: 32 << 10)
      await ends.server.sendSeparately(frame, times: 100)
      #expect(await ends.server.backlogBytes > 2 << 20)
      #expect(ends.server.counters.backlogBytes > 2 << 20)
      var left = 100 * frame.count
      while left > 0 {
        let count = await peer.receive().count
        #expect(count > 0)
        left -= count
      }
      #expect(welcome.count > 0 && left == 0)
      #expect(await ends.server.next() == .drained)
      #expect(await ends.server.backlogBytes == 0)
      #expect(ends.server.counters.backlogBytes == 0)
    }
  }

  @Test func aPeerThatReadsNothingIsClosedAtTheBound() async throws {
    var bounds = LinkBounds()
    bounds.backlogBytesMax = 1 << 20
    try await withEnds(bounds) { ends in
      let peer = try await ends.rawPeer()
      await peer.send(Handshake.hello())
      _ = await peer.receive()
      #expect(await ends.server.next() == .opened(generation: nil))
      await ends.server.sendSeparately(Publishes.frame(0, payloadBytes: 32 << 10), times: 100)
      guard case .closed(let reason) = await ends.server.next() else { return #expect(Bool(false), "not closed") }
      #expect(reason.contains("wait for the peer"))
      #expect(ends.server.counters.backlogBytes == 0)
      await peer.receiveToEnd()
    }
  }

  @Test func hostilePeersDoNotDisturbAGoodLink() async throws {
    try await withEnds { ends in
      let client = try await ends.connect()
      _ = await client.next()
      _ = await ends.server.next()
      var random = SeededRandom(seed: 0x5EED_0012)
      for _ in 0..<40 {
        let peer = try await ends.rawPeer()
        var bytes = Bool.random(using: &random) ? Handshake.hello(instance: "hostile") : []
        let mutations = Int.random(in: 0...3, using: &random)
        bytes += Publishes.frame(1)
        for _ in 0..<mutations {
          bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        await peer.send(Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random))))
      }
      await client.send { Publishes.write(count: 5, into: &$0) }
      #expect(await ends.server.nextFrames(5, from: "gateway.0") == Publishes.expected(5))
    }
  }
}
