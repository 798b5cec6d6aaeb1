import AvaloTesting
import Testing

@testable import AvaloReactor

/// A carrier without sockets: the kernel is a number of bytes that it takes per turn.
private final class PaperCarrier: Carrier {
  var shut: [UInt32] = []
  var cutOff: [UInt32] = []

  func shutWriting(_ index: UInt32) { shut.append(index) }
  func cut(_ index: UInt32) { cutOff.append(index) }
}

private final class Notes: LoopApplication {
  enum Note: Equatable {
    case opened, message(String), drained, closed(clean: Bool), tick
  }

  var notes: [Note] = []
  /// The codes of what was refused.
  var refusals: [UInt16] = []
  var whenMessage: ((ConnectionID) -> Void)?
  var whenTurnEnds: (() -> Void)?

  func opened(_ connection: ConnectionID, _ request: UpgradeRequest) { notes.append(.opened) }
  func message(_ connection: ConnectionID, _ text: UnsafeRawBufferPointer) {
    notes.append(.message(String(decoding: text, as: UTF8.self)))
    whenMessage?(connection)
  }
  func refused(_ connection: ConnectionID, code: UInt16) { refusals.append(code) }
  func drained(_ connection: ConnectionID) { notes.append(.drained) }
  func closed(_ connection: ConnectionID, clean: Bool) { notes.append(.closed(clean: clean)) }
  func woken() {}
  func tick() { notes.append(.tick) }
  func turnEnding() { whenTurnEnds?() }
}

/// A loop on paper, turn by turn and second by second.
private final class PaperLoop {
  let writer: ConnectionWriter
  let life: ConnectionLife
  let carrier = PaperCarrier()
  let notes = Notes()
  private(set) var now: UInt32 = 100
  /// What the kernel takes of each connection at a turn's end.
  var takes = Int.max

  init(_ change: (inout LoopSettings) -> Void = { _ in }) throws {
    var settings = LoopSettings()
    settings.connectionsMax = 100
    change(&settings)
    writer = try ConnectionWriter(settings: settings)
    life = ConnectionLife(writer)
    life.application = notes
    life.carrier = carrier
    turn()
  }

  func open() throws -> ConnectionID {
    let opened = life.open(descriptor: -1, addressLease: 0, response: [], request: UpgradeRequest(path: "/ws"))
    return try #require(opened)
  }

  /// One turn with the given input; returns what was written to the connection, in frames of (first byte, payload).
  @discardableResult
  func turn(_ connection: ConnectionID? = nil, _ frames: ClientFrame..., body: () -> Void = {}) -> [(UInt8, [UInt8])] {
    life.beginTurn(nowSeconds: now)
    if let connection, !frames.isEmpty {
      var bytes = frames.flatMap(\.bytes)
      bytes.withUnsafeMutableBytes { life.received(connection.slot, $0) }
    }
    body()
    life.tick()
    life.endInput()
    var written: [UInt8] = []
    for position in 0..<writer.dirtyCount {
      let index = writer.dirty[position]
      let slot = writer.slots + Int(index)
      if slot.pointee.flags.isGone { continue }
      if connection?.slot == index { writer.eachPiece(slot) { written += $0 } }
      let offered = Int(slot.pointee.turnBytes)
      slot.pointee.outstandingBytes += UInt32(offered - min(offered, takes))
      life.sent(index)
    }
    writer.endTurn()
    return split(written)
  }

  func pass(seconds: UInt32, turning connection: ConnectionID? = nil) -> [(UInt8, [UInt8])] {
    var frames: [(UInt8, [UInt8])] = []
    for _ in 0..<seconds {
      now += 1
      frames += turn(connection)
    }
    return frames
  }

  func skip(seconds: UInt32) { now += seconds }

  private func split(_ bytes: [UInt8]) -> [(UInt8, [UInt8])] {
    var frames: [(UInt8, [UInt8])] = []
    var rest = bytes[...]
    while rest.count >= 2 {
      let count = Int(rest[rest.startIndex + 1])
      frames.append((rest[rest.startIndex], Array(rest.dropFirst(2).prefix(count))))
      rest = rest.dropFirst(2 + count)
    }
    return frames
  }
}

private func code(_ frame: (UInt8, [UInt8])?) -> Int? {
  guard let frame, frame.0 == 0x88, frame.1.count >= 2 else { return nil }
  return Int(frame.1[0]) << 8 | Int(frame.1[1])
}

@Suite struct ConnectionLifeTests {
  // MARK: Frames

  @Test func tellsMessagesAndAnswersPings() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    let written = loop.turn(connection, .text("hello"), ClientFrame(.ping, [1, 2, 3]), ClientFrame(.pong))
    #expect(loop.notes.notes == [.opened, .message("hello")])
    #expect(written.count == 1 && written[0].0 == 0x8A && written[0].1 == [1, 2, 3])
  }

  @Test func keepsMemoryOnlyForWhatIsHalfRead() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    let slot = loop.writer.slots + Int(connection.slot)
    loop.turn(connection, .text("whole"))
    #expect(slot.pointee.side == nil)
    loop.turn(connection, ClientFrame(.text, Array("ha".utf8), isFinal: false))
    #expect(slot.pointee.side != nil)
    let other = try loop.open()
    loop.turn(other, .text("between"))
    loop.turn(connection, ClientFrame(.continuation, Array("lf".utf8)))
    #expect(slot.pointee.side == nil)
    #expect(loop.notes.notes == [.opened, .message("whole"), .opened, .message("between"), .message("half")])
  }

  @Test func stopsReadingAtABreach() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    let written = loop.turn(connection, .text("a"), ClientFrame(.continuation, [1]), .text("b"))
    #expect(written.map { code($0) } == [1002])
    #expect(loop.notes.refusals == [1002])
    #expect(loop.notes.notes == [.opened, .message("a")])
    loop.turn(connection, .text("c"))
    #expect(loop.notes.notes == [.opened, .message("a"), .closed(clean: false)])
    #expect(loop.carrier.shut == [connection.slot])
    #expect(loop.writer.counters.closedProtocolError == 1)
    // A breach in a connection leaves the shared decoder clean for the others.
    let other = try loop.open()
    loop.turn(other, .text("fine"))
    #expect(loop.notes.notes.last == .message("fine"))
  }

  // MARK: Closing

  @Test func answersAPeersClose() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    let written = loop.turn(connection, .close(1000, "bye"), .text("late"))
    #expect(written.map { code($0) } == [1000])
    loop.turn()
    #expect(loop.notes.notes == [.opened, .closed(clean: true)])
    #expect(loop.carrier.shut == [connection.slot] && loop.carrier.cutOff == [], "what it sent behind is still unread")
    loop.turn(connection, .text("later"))
    #expect(loop.carrier.cutOff == [])
    loop.life.peerFinished(connection.slot)
    #expect(loop.carrier.cutOff == [connection.slot])
    #expect(loop.writer.connectionCount == 0)
    #expect(loop.notes.notes == [.opened, .closed(clean: true)], "closed is told once")
  }

  @Test func answersAnEmptyCloseWithAnEmptyOne() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    let written = loop.turn(connection, ClientFrame(.close))
    #expect(written.count == 1 && written[0].0 == 0x88 && written[0].1.isEmpty)
  }

  @Test func waitsForThePeersCloseAfterItsOwn() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    let written = loop.turn(connection) { loop.writer.close(connection, code: 4000) }
    #expect(code(written.first) == 4000)
    loop.turn()
    #expect(loop.notes.notes == [.opened, .closed(clean: true)])
    #expect(loop.carrier.shut == [connection.slot])
    #expect(loop.carrier.cutOff == [])
    loop.turn(connection, .text("ignored"), .close(4000))
    #expect(loop.carrier.cutOff == [connection.slot])
    #expect(loop.notes.notes == [.opened, .closed(clean: true)], "closed is told once")
  }

  @Test func cutsAPeerThatNeverAnswersAClose() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    loop.turn { loop.writer.close(connection, code: 4000) }
    _ = loop.pass(seconds: loop.writer.settings.closeSecondsMax - 1)
    #expect(loop.carrier.cutOff == [])
    _ = loop.pass(seconds: 1)
    #expect(loop.carrier.cutOff == [connection.slot])
  }

  @Test func tellsTheEndLateWhenTheCloseCannotBeWritten() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    loop.takes = 0
    loop.turn { loop.writer.close(connection, code: 4000) }
    loop.turn()
    #expect(!loop.notes.notes.contains(.closed(clean: true)))
    _ = loop.pass(seconds: loop.writer.settings.closeSecondsMax)
    #expect(loop.notes.notes.contains(.closed(clean: true)))
    #expect(loop.carrier.cutOff == [connection.slot])
    #expect(loop.carrier.shut == [])
  }

  @Test func writesWhatIsQueuedForAPeerThatOnlyStoppedSending() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    let written = loop.turn(connection, ClientFrame(.ping, [9])) { loop.life.peerFinished(connection.slot) }
    #expect(written.count == 1 && written[0].0 == 0x8A)
    loop.turn()
    #expect(loop.notes.notes == [.opened, .closed(clean: false)])
    #expect(loop.carrier.cutOff == [connection.slot])
  }

  @Test func neverTellsFromInsideTheApplicationsOwnCall() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    loop.notes.whenMessage = { connection in
      loop.writer.close(connection, code: 4501)
      #expect(loop.notes.notes.last == .message("x"))
    }
    loop.turn(connection, .text("x"), .text("y"))
    #expect(loop.notes.notes == [.opened, .message("x")], "nothing after the application's own close")
    loop.turn()
    #expect(loop.notes.notes == [.opened, .message("x"), .closed(clean: true)])
  }

  @Test func endsABrokenConnectionAtOnce() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    loop.turn { loop.life.end(connection.slot) }
    #expect(loop.notes.notes == [.opened, .closed(clean: false)])
    #expect(loop.carrier.cutOff == [connection.slot])
    let next = try loop.open()
    #expect(next.slot == connection.slot && next != connection)
    loop.turn(next) { loop.writer.close(connection, code: 4000) }
    #expect(loop.writer.isOpen(next), "a stale id closes nobody")
  }

  // MARK: Time

  @Test func pingsTheSilentAndClosesThemAfterTheGrace() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    var pingedAfter: UInt32?
    var closedAfter: UInt32?
    for second in UInt32(1)...60 where closedAfter == nil {
      for frame in loop.pass(seconds: 1, turning: connection) {
        if frame.0 == 0x89 { pingedAfter = pingedAfter ?? second }
        if code(frame) == 4003 { closedAfter = second }
      }
    }
    let settings = loop.writer.settings
    let silence = try #require(pingedAfter)
    #expect((settings.pingIntervalSeconds - 5...settings.pingIntervalSeconds).contains(silence))
    #expect(closedAfter == settings.pingIntervalSeconds + settings.pingGraceSeconds)
    loop.turn()
    #expect(loop.notes.notes.filter { $0 != .tick } == [.opened, .closed(clean: false)])
    #expect(loop.writer.counters.closedIdle == 1)
  }

  @Test func leavesThoseAloneThatAnswerPings() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    for _ in 0..<500 {
      for frame in loop.pass(seconds: 1, turning: connection) where frame.0 == 0x89 {
        loop.turn(connection, ClientFrame(.pong))
      }
    }
    #expect(loop.writer.isOpen(connection))
    #expect(loop.writer.counters.pingsSent >= 19 && loop.writer.counters.pingsSent <= 26)
  }

  @Test func pingsNobodyWhoTalks() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    for _ in 0..<100 {
      _ = loop.pass(seconds: 3)
      loop.turn(connection, .text("still here"))
    }
    #expect(loop.writer.counters.pingsSent == 0)
  }

  @Test func spreadsThePingsOfThoseWhoCameTogether() throws {
    let loop = try PaperLoop()
    for _ in 0..<100 { _ = try loop.open() }
    loop.turn()
    var perSecond: [UInt64] = []
    for _ in 0..<25 {
      let before = loop.writer.counters.pingsSent
      _ = loop.pass(seconds: 1)
      perSecond.append(loop.writer.counters.pingsSent - before)
    }
    #expect(perSecond.reduce(0, +) == 100)
    #expect(perSecond.max() == 20)
  }

  @Test func judgesNobodyBeforeReadingAfterALoopWasHeldUp() throws {
    let loop = try PaperLoop()
    let connection = try loop.open()
    _ = loop.pass(seconds: 24)
    loop.skip(seconds: 300)
    loop.turn(connection, ClientFrame(.pong))
    #expect(loop.writer.isOpen(connection))
    #expect(loop.notes.notes.filter { $0 == .tick }.count == 25, "one tick for the seconds that were missed")
  }

  @Test func closesAPeerThatTakesNothing() throws {
    let loop = try PaperLoop { $0.pingIntervalSeconds = 1000 }
    let connection = try loop.open()
    loop.takes = 0
    loop.turn { loop.writer.text(connection, UnsafeRawBufferPointer(start: nil, count: 0)) }
    _ = loop.pass(seconds: loop.writer.settings.stallSecondsMax - 1)
    #expect(loop.writer.isOpen(connection))
    #expect(code(loop.pass(seconds: 1, turning: connection).last) == 4002)
    #expect(loop.writer.counters.closedSlow == 1)
  }

  @Test func waitsForAPeerThatTakesALittle() throws {
    let loop = try PaperLoop { $0.pingIntervalSeconds = 1000 }
    let connection = try loop.open()
    let slot = loop.writer.slots + Int(connection.slot)
    loop.takes = 0
    loop.turn { loop.writer.text(connection, UnsafeRawBufferPointer(start: nil, count: 0)) }
    for _ in 0..<10 {
      _ = loop.pass(seconds: 15)
      slot.pointee.flags.insert(.wrote)
    }
    #expect(loop.writer.isOpen(connection))
    loop.turn {
      slot.pointee.outstandingBytes = 0
      loop.life.drained(connection.slot)
    }
    #expect(loop.notes.notes.last == .drained)
    _ = loop.pass(seconds: 60)
    #expect(loop.writer.isOpen(connection))
  }

  @Test func closesAPeerThatNeverCompletesAMessage() throws {
    let loop = try PaperLoop { $0.pingIntervalSeconds = 1000 }
    let connection = try loop.open()
    loop.turn(connection, ClientFrame(.text, [0x61], isFinal: false))
    for _ in 0..<29 {
      _ = loop.pass(seconds: 1)
      loop.turn(connection, ClientFrame(.continuation, [0x61], isFinal: false))
    }
    #expect(loop.writer.isOpen(connection))
    #expect(code(loop.pass(seconds: 1, turning: connection).last) == 4003)
  }

  @Test func givesEachMessageItsOwnTime() throws {
    let loop = try PaperLoop { $0.pingIntervalSeconds = 1000 }
    let connection = try loop.open()
    loop.turn(connection, ClientFrame(.text, [0x61], isFinal: false))
    for _ in 0..<10 {
      _ = loop.pass(seconds: 20)
      loop.turn(connection, ClientFrame(.continuation, [0x62]), ClientFrame(.text, [0x61], isFinal: false))
    }
    #expect(loop.writer.isOpen(connection))
  }

  @Test func tellsEverybodyWhenTheLoopStops() throws {
    let loop = try PaperLoop()
    for _ in 0..<3 { _ = try loop.open() }
    loop.turn { loop.life.endAll() }
    #expect(loop.notes.notes.filter { $0 == .closed(clean: false) }.count == 3)
    #expect(loop.carrier.cutOff.count == 3)
    #expect(loop.writer.connectionCount == 0)
  }
}
