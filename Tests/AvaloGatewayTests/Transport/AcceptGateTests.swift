import AvaloReactor
import AvaloTesting
import Glibc
import NIOCore
import Testing

@testable import AvaloGateway

/// A listener that has no room, and one that has no descriptors left.
@Suite(.serialized) struct AcceptGateTests {
  @Test func turnsAwayWhatThereIsNoRoomFor() async throws {
    try await TransportRig.run(.reactor, connectionsMax: 2) { rig in
      let silent = try rig.dial()
      let webSocket = try rig.connect()
      let third = try rig.dial()
      let head = try third.head()
      #expect(head.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n") && head.contains("Retry-After: 1\r\n"))
      #expect(rig.outcomes.withLock { $0.last } == .overloaded)
      try webSocket.send(text: "served")
      #expect(try webSocket.frame().text == "served")
      silent.close()
      let fourth = try untilLetIn(rig)
      try fourth.send(text: "in")
      #expect(try fourth.frame().text == "in")
    }
  }

  @Test func turnsAwayWithoutAHandshake() async throws {
    try await TransportRig.run(.nioTLS, connectionsMax: 1) { rig in
      let first = try rig.connect()
      let second = try SocketProbe.connect(port: rig.port)
      #expect(throws: SocketProbe.Failure.endOfStream) { try second.take(1) }
      try first.send(text: "served")
      #expect(try first.frame().text == "served")
    }
  }

  /// The process's limit is lowered to what is open: nothing can be accepted any more.
  @Test func shedsAndGoesOnWhenDescriptorsRunOut() async throws {
    try await TransportRig.run(.reactor) { rig in
      let before = try rig.connect()
      // Made now, because a client needs a descriptor as well; connected later.
      let clients = try (0..<20).map { _ in try SocketProbe.unconnected() }
      let limit = try DescriptorLimit.lowerToWhatIsOpen()
      for client in clients {
        try client.connect(port: rig.port)
        // Closed, with or without an answer: unread bytes of ours may overtake it.
        #expect(throws: SocketProbe.Failure.endOfStream) { while true { _ = try client.take(1) } }
      }
      #expect(rig.outcomes.withLock { $0.filter { $0 == .overloaded }.count } == clients.count)
      try before.send(text: "served")
      #expect(try before.frame().text == "served")
      limit.restore()
      let after = try rig.connect()
      try after.send(text: "in")
      #expect(try after.frame().text == "in")
    }
  }

  @Test func keepsDescriptorsForItselfAndForCalls() {
    let budget = DescriptorBudget(limit: 20_000, used: 30)
    #expect(budget.connectionsMax == 19_714 && budget.webSocketsMax == 19_458)
    let small = DescriptorBudget(limit: 64, used: 30)
    #expect(small.connectionsMax == 18 && small.webSocketsMax == 2)
    #expect(DescriptorBudget(limit: 10, used: 30).webSocketsMax == 1)
    #expect(DescriptorBudget(limit: 1 << 30, used: 30).connectionsMax == (1 << 30) - 286)
  }

  /// A place is free a moment after its connection's end.
  private func untilLetIn(_ rig: TransportRig) throws -> SocketProbe {
    for _ in 0..<1000 {
      let probe = try rig.dial()
      try probe.send(TransportRig.request())
      if try probe.head().hasPrefix("HTTP/1.1 101 ") { return probe }
      usleep(5_000)
    }
    throw SocketProbe.Failure.timeout("room")
  }
}

/// RLIMIT_NOFILE of the test's own process, put back in any case.
private final class DescriptorLimit {
  private var old = rlimit()

  private init() {}

  static func lowerToWhatIsOpen() throws -> DescriptorLimit {
    let limit = DescriptorLimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit.old)
    // The next descriptor is the lowest free one: from there on nothing may be opened.
    let next = open("/dev/null", O_RDONLY | O_CLOEXEC)
    close(next)
    var low = limit.old
    low.rlim_cur = rlim_t(next)
    guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &low) == 0 else {
      throw SocketProbe.Failure.system("setrlimit", errno)
    }
    return limit
  }

  func restore() {
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &old)
  }

  deinit { restore() }
}
