import AvaloTesting
import Glibc
import Synchronization
import Testing

@testable import AvaloGateway
@testable import AvaloReactor

/// Thousands of connections that arrive in every awkward way, several at a time: each gets exactly its answer, and not
/// a descriptor is left behind.
@Suite struct HostileConnectTests {
  enum Manner: CaseIterable {
    case plain, early, twoEarly, earlySplit, race, headSplit, manyEarly, halfClosed, reset, finished, get
  }

  @Test(arguments: [TransportKind.reactor, .nio])
  func answersEveryoneAndLeavesNothingOpen(kind: TransportKind) async {
    // In a process of its own: other tests open sockets too.
    switch kind {
    case .reactor:
      await #expect(processExitsWith: .success) { try await HostileConnectTests.storm(.reactor, connections: 4_400) }
    default:
      await #expect(processExitsWith: .success) { try await HostileConnectTests.storm(.nio, connections: 2_200) }
    }
  }

  private static func storm(_ kind: TransportKind, connections: Int) async throws {
    let before = try openSockets()
    try await TransportRig.run(kind, echoes: false, change: { $0.connectionsMax = 2_000 }) { rig in
      let failures = Mutex<[String]>([])
      let threads = try (0..<8).map { thread in
        try LoopThread.start(
          name: "clients",
          Work {
            for number in stride(from: thread, to: connections, by: 8) {
              let manner = Manner.allCases[number % Manner.allCases.count]
              do {
                try connect(rig, manner, TestRandom(seed: UInt64(number)))
              } catch {
                failures.withLock { $0.append("\(number) \(manner): \(error)") }
              }
            }
          })
      }
      for thread in threads { thread.join() }
      #expect(failures.withLock { Array($0.prefix(10)) } == [])
      // Those that vanished may be handed over only now.
      #expect(
        rig.recorder.wait { _ in
          let counters = rig.counters
          return counters.opened == counters.closed && rig.recorder.onLoop { $0.writer.connectionCount } == 0
        })
      #expect(rig.counters.opened >= UInt64(connections * 8 / 11), "all but those that vanished or wanted HTTP")
    }
    #expect(try openSockets() == before)
  }

  private static func connect(_ rig: TransportRig, _ manner: Manner, _ seeded: TestRandom) throws {
    var random = seeded
    let request = TransportRig.request("/ws?\(manner)")
    let long = ClientFrame(.ping, random.bytes(20), mask: random.bytes(4))
    let short = ClientFrame(.ping, random.bytes(5), mask: random.bytes(4))
    var expected = [long]
    let probe = try SocketProbe.connect(port: rig.port)
    switch manner {
    case .plain:
      try probe.send(request)
      try probe.send(long)
    case .early:
      try probe.send(request + long.bytes)
    case .twoEarly:
      try probe.send(request + long.bytes + short.bytes)
      expected = [long, short]
    case .earlySplit:
      try probe.send(request + long.bytes.prefix(9))
      usleep(500)
      try probe.send(long.bytes.dropFirst(9) + short.bytes)
      expected = [long, short]
    case .race:  // the second segment lands while the hand-off runs
      try probe.send(request)
      try probe.send(short)
      expected = [short]
    case .headSplit:
      try probe.send(Array(request.prefix(50)))
      usleep(500)
      try probe.send(request.dropFirst(50) + long.bytes)
    case .manyEarly:
      expected = (0..<30).map { _ in ClientFrame(.ping, random.bytes(100), mask: random.bytes(4)) }
      try probe.send(request + expected.flatMap(\.bytes))
    case .halfClosed:
      try probe.send(request + long.bytes)
      probe.finishSending()
    case .reset:
      try probe.send(request)
      return probe.reset()
    case .finished:
      try probe.send(request)
      return probe.close()
    case .get:
      try probe.send(Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
      let head = try probe.head()
      guard head.hasPrefix("HTTP/1.1 200 OK\r\n") else { throw SocketProbe.Failure.malformed(head) }
      return
    }
    let head = try probe.head()
    guard head.hasPrefix("HTTP/1.1 101 "), head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") else {
      throw SocketProbe.Failure.malformed(head)
    }
    for ping in expected {
      let frame = try probe.frame()
      guard frame.opcode == 10, frame.payload == ping.payload else {
        throw SocketProbe.Failure.malformed("\(frame)")
      }
    }
    if manner == .halfClosed { try probe.expectEnd() }
  }

  private final class Work: LoopThread.Body {
    private let work: @Sendable () -> Void

    init(_ work: @escaping @Sendable () -> Void) {
      self.work = work
    }

    func run() {
      work()
    }
  }
}
