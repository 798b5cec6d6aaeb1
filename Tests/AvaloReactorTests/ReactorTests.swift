import AvaloTesting
import Glibc
import Testing

@testable import AvaloReactor

/// A running reactor with a recording hub.
private final class Rig {
  let recorder: LoopRecorder
  let handle: ReactorHandle

  init(
    echoes: Bool = true, clock: LoopClock = .monotonic, addresses: AddressBudget? = nil,
    _ change: (inout LoopSettings) -> Void = { _ in }
  ) throws {
    var settings = LoopSettings()
    settings.connectionsMax = 64
    change(&settings)
    let recorder = LoopRecorder(echoes: echoes)
    self.recorder = recorder
    handle = try Reactor.start(name: "test", settings: settings, addresses: addresses, clock: clock) { reactor in
      RecordingApplication(reactor.writer, reactor.waker, recorder)
    }
  }

  deinit {
    handle.stop()
    handle.join()
  }

  func connect(early: [UInt8] = [], receiveBuffer: Int32? = nil, lease: UInt32 = 0) throws -> SocketProbe {
    let (probe, descriptor) = try LoopbackListener.pair(receiveBuffer: receiveBuffer)
    let request = UpgradeRequest(path: "/ws")
    let taken = handle.adopt(
      descriptor: descriptor, response: [], early: early, request: request, addressLease: lease)
    if !taken { close(descriptor) }
    try #require(taken)
    return probe
  }

  func waitForClosed(_ count: Int = 1, clean: Bool) -> Bool {
    recorder.wait { $0.filter { $0 == .closed(clean: clean) }.count == count }
  }
}

@Suite(.serialized) struct ReactorTests {
  @Test func echoesWhatComesEarlyAndLate() throws {
    let rig = try Rig()
    let early = Array(ClientFrame.text("early").bytes.prefix(8))
    let probe = try rig.connect(early: early)
    try probe.send(Array(ClientFrame.text("early").bytes.dropFirst(8)))
    #expect(try probe.frame().text == "early")
    try probe.send(text: "late")
    #expect(try probe.frame().text == "late")
    #expect(rig.recorder.events.prefix(3) == [.opened(path: "/ws"), .message("early"), .message("late")])
  }

  @Test func takesMoreEarlyBytesThanItReadsAtOnce() throws {
    let rig = try Rig()
    let text = String(repeating: "x", count: 50_000)
    let probe = try rig.connect(early: ClientFrame.text(text).bytes + ClientFrame.text(text).bytes)
    #expect(try probe.frame().payload.count == 50_000)
    #expect(try probe.frame().payload.count == 50_000)
  }

  @Test func writesOncePerConnectionAndTurn() throws {
    let rig = try Rig(echoes: false)
    let probes = try (0..<3).map { _ in try rig.connect() }
    #expect(rig.recorder.wait { $0.count == 3 })
    let before = rig.recorder.onLoop { $0.writer.counters.sends }
    let connections = rig.recorder.onLoop { application in
      for connection in application.connections {
        for number in 0..<2_000 {
          Array("\(number)".utf8).withUnsafeBytes { application.writer.text(connection, $0) }
        }
      }
      return application.connections
    }
    for probe in probes {
      for number in 0..<2_000 { #expect(try probe.frame().text == "\(number)") }
    }
    #expect(connections.count == 3)
    #expect(rig.recorder.onLoop { $0.writer.counters.sends } == before + 3)
  }

  @Test func gathersPiecesInOrderAcrossSystemCalls() throws {
    let rig = try Rig(echoes: false)
    let probe = try rig.connect()
    #expect(rig.recorder.wait { $0.count == 1 })
    // Frames shared by turns: never side by side, and more than one writev takes.
    rig.recorder.onLoop { application in
      let shared = application.writer.allocate(6)
      shared.copyMemory(from: [0x81, 0x01, 0x61, 0x81, 0x01, 0x62] as [UInt8], byteCount: 6)
      for number in 0..<3_000 {
        let frame = UnsafeRawBufferPointer(start: shared + (number % 2) * 3, count: 3)
        application.writer.queue(application.connections[0], frame)
        application.writer.queue(application.connections[0], frame)
      }
    }
    for number in 0..<6_000 {
      let frame = try probe.frame()
      guard frame.text == (number / 2 % 2 == 0 ? "a" : "b") else {
        Issue.record("frame \(number) is \(frame)")
        return
      }
    }
  }

  /// A reader that stops: bytes pile up here, the hub is told when they are gone, and not one is lost or out of order.
  @Test func holdsForASlowReaderAndTellsWhenItIsDrained() throws {
    let rig = try Rig(echoes: false) { $0.outboxBytesMax = 64 << 20 }
    let probe = try rig.connect(receiveBuffer: 4096)
    #expect(rig.recorder.wait { $0.count == 1 })
    let frames = 8_000
    var queued = 0
    // In many turns, so that later turns queue behind what already waits.
    while queued < frames {
      let first = queued
      rig.recorder.onLoop { application in
        for number in first..<first + 500 {
          let payload = Array("\(number) ".utf8) + [UInt8](repeating: 0x2E, count: 1_000)
          payload.withUnsafeBytes { application.writer.text(application.connections[0], $0) }
        }
      }
      queued += 500
    }
    let backlog = rig.recorder.onLoop { $0.writer.backlog($0.connections[0]) }
    #expect(backlog > 1 << 20)
    #expect(!rig.recorder.events.contains(.drained))
    for number in 0..<frames {
      let frame = try probe.frame()
      guard frame.text.hasPrefix("\(number) ") else {
        Issue.record("frame \(number) is \(frame)")
        return
      }
    }
    #expect(rig.recorder.wait { $0.last == .drained })
    #expect(rig.recorder.onLoop { $0.writer.backlog($0.connections[0]) } == 0)
    let hasSide = rig.recorder.onLoop { $0.writer.slots[Int($0.connections[0].slot)].side != nil }
    #expect(!hasSide, "the outbox is given back")
  }

  @Test func closesAReaderWhoseOutboxIsFull() throws {
    let rig = try Rig(echoes: false) { $0.outboxBytesMax = 1 << 20 }
    let probe = try rig.connect(receiveBuffer: 4096)
    #expect(rig.recorder.wait { $0.count == 1 })
    var turns = 0
    while rig.recorder.onLoop({ $0.connections.first.map($0.writer.isOpen) ?? false }), turns < 2_000 {
      rig.recorder.onLoop { application in
        let payload = UnsafeRawBufferPointer(start: application.writer.allocate(65_000), count: 65_000)
        if let connection = application.connections.first { application.writer.text(connection, payload) }
      }
      turns += 1
    }
    #expect(rig.recorder.onLoop { $0.writer.counters.closedSlow } == 1)
    // It gets whole frames to the end, then the reason: the stream was not torn.
    var last = try probe.frame()
    while last.opcode == 1 {
      #expect(last.payload.count == 65_000)
      last = try probe.frame()
    }
    #expect(last.closeCode == 4002)
    try probe.expectEnd()
    probe.close()
    #expect(rig.waitForClosed(clean: false))
  }

  @Test func closesAReaderThatStalls() throws {
    let clock = ManualClock()
    let rig = try Rig(echoes: false, clock: clock.clock) {
      $0.outboxBytesMax = 64 << 20
      $0.pingIntervalSeconds = 1_000
    }
    let probe = try rig.connect(receiveBuffer: 4096)
    #expect(rig.recorder.wait { $0.count == 1 })
    rig.recorder.onLoop { application in
      let count = 16 << 20
      let start = application.writer.allocate(count)
      start.initializeMemory(as: UInt8.self, repeating: 0x61, count: count)
      application.writer.text(application.connections[0], UnsafeRawBufferPointer(start: start, count: count))
    }
    #expect(rig.recorder.onLoop { $0.writer.backlog($0.connections[0]) } > 0)
    for _ in 0..<30 {
      clock.advance(seconds: 1)
      rig.handle.waker.wake()
      _ = rig.recorder.onLoop { $0.writer.nowSeconds }
    }
    #expect(rig.waitForClosed(clean: false), "by its Close frame's deadline at the latest")
    #expect(rig.recorder.onLoop { $0.writer.counters.closedSlow } == 1)
    _ = probe
  }

  @Test func finishesWritingToAPeerThatStoppedSending() throws {
    let rig = try Rig()
    let probe = try rig.connect(receiveBuffer: 4096)
    #expect(rig.recorder.wait { $0.count == 1 })
    rig.recorder.onLoop { application in
      let count = 3 << 20
      let start = application.writer.allocate(count)
      start.initializeMemory(as: UInt8.self, repeating: 0x61, count: count)
      application.writer.text(application.connections[0], UnsafeRawBufferPointer(start: start, count: count))
    }
    try probe.send(text: "last words")
    probe.finishSending()
    #expect(try probe.frame().payload.count == 3 << 20)
    #expect(try probe.frame().text == "last words")
    try probe.expectEnd()
    #expect(rig.waitForClosed(clean: false))
  }

  @Test func closesByTheBook() throws {
    let rig = try Rig()
    let leaving = try rig.connect()
    try leaving.send(.close(1000))
    #expect(try leaving.frame().closeCode == 1000)
    try leaving.expectEnd()

    let sentAway = try rig.connect()
    #expect(rig.recorder.wait { $0.filter { $0 == .opened(path: "/ws") }.count == 2 })
    rig.recorder.onLoop { $0.writer.close($0.connections[0], code: 4000, reason: "going away") }
    // Unread bytes on our side must not take the Close frame with them.
    try sentAway.send(text: "crossing")
    let frame = try sentAway.frame()
    #expect(frame.closeCode == 4000)
    #expect(frame.text.hasSuffix("going away"))
    try sentAway.expectEnd()
    try sentAway.send(.close(4000))
    #expect(rig.waitForClosed(2, clean: true))
    #expect(rig.recorder.wait { _ in rig.handle.connectionCount == 0 })
  }

  @Test func noticesAReset() throws {
    let rig = try Rig()
    let probe = try rig.connect()
    #expect(rig.recorder.wait { $0.count == 1 })
    probe.reset()
    #expect(rig.waitForClosed(clean: false))
  }

  @Test func noticesAResetWhileItOnlyWrites() throws {
    let rig = try Rig(echoes: false) { $0.outboxBytesMax = 64 << 20 }
    let probe = try rig.connect(receiveBuffer: 4096)
    #expect(rig.recorder.wait { $0.count == 1 })
    rig.recorder.onLoop { application in
      let count = 16 << 20
      application.writer.text(
        application.connections[0],
        UnsafeRawBufferPointer(start: application.writer.allocate(count), count: count))
    }
    probe.finishSending()
    #expect(rig.recorder.wait { _ in rig.recorder.onLoop { !$0.writer.isOpen($0.connections[0]) } })
    probe.reset()
    #expect(rig.waitForClosed(clean: false))
  }

  @Test func refusesWhatItHasNoRoomFor() throws {
    let rig = try Rig { $0.connectionsMax = 2 }
    let first = try rig.connect()
    // Kept: a probe that nobody holds closes its connection, and makes room.
    let second = try rig.connect()
    defer { second.close() }
    let (probe, descriptor) = try LoopbackListener.pair()
    let request = UpgradeRequest(path: "/ws")
    #expect(!rig.handle.hasRoom)
    #expect(!rig.handle.adopt(descriptor: descriptor, response: [], early: [], request: request))
    first.close()
    #expect(rig.recorder.wait { _ in rig.handle.hasRoom })
    #expect(rig.handle.adopt(descriptor: descriptor, response: [], early: [], request: request))
    try probe.send(text: "in at last")
    #expect(try probe.frame().text == "in at last")
  }

  @Test func neverMistakesAConnectionForTheOneBeforeIt() throws {
    let rig = try Rig { $0.connectionsMax = 2 }
    for round in 0..<200 {
      let probe = try rig.connect()
      try probe.send(text: "\(round)")
      #expect(try probe.frame().text == "\(round)")
      if round % 2 == 0 { probe.reset() } else { probe.close() }
      #expect(rig.recorder.wait { _ in rig.handle.hasRoom })
    }
    #expect(rig.recorder.wait { $0.filter { $0 == .closed(clean: false) }.count == 200 })
    let ids = Set(zip(rig.recorder.events, rig.recorder.connections).filter { $0.0 == .opened(path: "/ws") }.map(\.1))
    #expect(ids.count == 200, "each had an id of its own")
    #expect(Set(ids.map(\.slot)).count <= 2)
  }

  @Test func givesAddressLeasesBack() throws {
    let budget = AddressBudget(connectionsPerAddressMax: 5)
    let rig = try Rig(addresses: budget)
    let probes = try (0..<5).map { _ in try rig.connect(lease: try #require(budget.admit("10.0.0.1"))) }
    #expect(budget.admit("10.0.0.1") == nil)
    for probe in probes { probe.close() }
    #expect(rig.recorder.wait { _ in budget.count("10.0.0.1") == 0 })
  }

  // In a process of its own: other tests open sockets too.
  @Test func stopsAndLeavesNothingOpen() async {
    await #expect(processExitsWith: .success) { try ReactorTests.stopsAndLeavesNothingOpen() }
  }

  private static func stopsAndLeavesNothingOpen() throws {
    let before = try openSockets()
    do {
      let rig = try Rig()
      let probes = try (0..<20).map { _ in try rig.connect() }
      #expect(rig.recorder.wait { $0.count == 20 })
      rig.handle.stop()
      rig.handle.join()
      #expect(rig.recorder.events.filter { $0 == .closed(clean: false) }.count == 20)
      for probe in probes { try probe.expectEnd() }
      let (_, descriptor) = try LoopbackListener.pair()
      #expect(!rig.handle.adopt(descriptor: descriptor, response: [], early: [], request: UpgradeRequest(path: "/")))
      close(descriptor)
    }
    #expect(try openSockets() == before)
  }

  /// Many peers that do everything at once, good and bad, for a while: the loop serves the good and outlives the bad.
  @Test func survivesACrowd() async {
    await #expect(processExitsWith: .success) { try ReactorTests.survivesACrowd() }
  }

  private static func survivesACrowd() throws {
    let before = try openSockets()
    do {
      let rig = try Rig { $0.connectionsMax = 300 }
      var random = TestRandom(seed: 99)
      var probes: [SocketProbe] = []
      var answered = 0
      for round in 0..<3_000 {
        if probes.count < 100 || Bool.random(using: &random) { probes.append(try rig.connect()) }
        let at = Int.random(in: 0..<probes.count, using: &random)
        let probe = probes[at]
        var leaves = true
        switch Int.random(in: 0..<10, using: &random) {
        case 0: try probe.send(random.bytes(Int.random(in: 1...300, using: &random)))
        case 1: probe.reset()
        case 2: probe.finishSending()
        case 3: try probe.send(.close(1000))
        case 4: try probe.send(ClientFrame(.text, [0x61], isFinal: false).bytes + [0x80])
        case 5: try probe.send(Array(ClientFrame.text("cut short").bytes.prefix(9)))
        default:
          try probe.send(text: "\(round)")
          #expect(try probe.frame().text == "\(round)")
          answered += 1
          leaves = false
        }
        if leaves || probes.count > 200 { probes.remove(at: at).close() }
      }
      #expect(answered > 1_000)
      probes.removeAll()
      #expect(rig.recorder.wait { _ in rig.handle.connectionCount == 0 })
      let counters = rig.recorder.onLoop { $0.writer.counters }
      #expect(counters.opened == counters.closed)
      #expect(counters.closedProtocolError > 0)
    }
    #expect(try openSockets() == before)
  }
}
