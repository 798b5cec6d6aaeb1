import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// Sessions, their devices, and where these stopped.
@Suite struct AttachTests {
  // MARK: Where a device starts

  @Test(arguments: LogKind.allCases) func aNewDeviceStartsAtItsInboxsOldestEvent(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(
      link, bench.publish(link, "user:ann", id: "1", ttl: 1), bench.publish(link, "user:ann", id: "2"),
      bench.publish(link, "user:ann", id: "3"), bench.publish(link, "chat:c", id: "1"))
    bench.advance(1000)
    let told = try bench.turn(link, bench.attach(link, 1, topics: ["user:ann", "chat:c", "feed:none"], as: 9))
    #expect(
      told == [
        .attached(9, [bench.position("user:ann", 1), bench.position("chat:c", 1), bench.position("feed:none", 0)])
      ])
    // All of that is kept before it is told: what arrives while the device is away is not lost.
    #expect(try bench.cursor("user:ann") == 1)
    #expect(try bench.cursor("chat:c") == 1)
    #expect(try bench.cursor("feed:none") == 0)
  }

  @Test func anothersInboxIsATopicLikeAnyOther() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:bob"))
    let told = try bench.turn(link, bench.attach(link, 1, user: "ann", topics: ["user:bob"], as: 1))
    #expect(told == [.attached(1, [bench.position("user:bob", 1)])])
  }

  @Test(arguments: LogKind.allCases) func aKnownDeviceGoesOnWhereItStopped(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    var link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann")]), bench.attach(link, 1))
    for id in 1...5 { try bench.turn(link, bench.publish(link, "user:ann", id: "\(id)")) }
    try bench.turn(link, bench.acknowledge(link, 1, 1, "user:ann", 3), .detach(link, Detach(sessions: [1])))
    // Not written yet, and known all the same.
    #expect(try bench.turn(link, bench.attach(link, 2, as: 2)) == [.attached(2, [bench.position("user:ann", 3)])])
    try bench.turn(link, .detach(link, Detach(sessions: [2])))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try bench.cursor("user:ann") == 3)
    guard engine == .sqlite else { return }
    try bench.crash()
    link = try bench.link()
    #expect(try bench.turn(link, bench.attach(link, 3, as: 3)) == [.attached(3, [bench.position("user:ann", 3)])])
  }

  @Test func anOpenSessionAsksForMore() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "chat:c"), bench.attach(link, 1))
    let told = try bench.turn(
      link, bench.cursors(link, 1, ["chat:c", "user:ann"], as: 5), bench.cursors(link, 9, ["chat:c"], as: 6))
    #expect(
      told == [
        .attached(5, [bench.position("chat:c", 1), bench.position("user:ann", 0)]), .failed(6, .failedPrecondition),
      ])
    #expect(try bench.cursor("chat:c") == 1)
  }

  @Test func aSessionMayAttachAgain() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1))
    try bench.turn(link, bench.attach(link, 1))
    bench.housekeep()
    #expect(bench.core.devices.sessionCount == 1)
    try bench.turn(link, .detach(link, Detach(sessions: [1, 1, 7])))
    #expect(bench.core.devices.sessionCount == 0)
    #expect(bench.core.topics[bench.core.topics.place(of: "user:ann")!].holds == 0)
  }

  // MARK: Several sessions of a device

  @Test func aDevicesCursorIsTheLowestOfItsSessions() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann")]), bench.attach(link, 1), bench.attach(link, 2))
    for id in 1...9 { try bench.turn(link, bench.publish(link, "user:ann", id: "\(id)")) }
    try bench.turn(
      link, bench.acknowledge(link, 1, 1, "user:ann", 7), bench.acknowledge(link, 2, 1, "user:ann", 4))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try bench.cursor("user:ann") == 4)
    // A third starts there; the slower one's end lets the others' word count.
    #expect(try bench.turn(link, bench.attach(link, 3, as: 3)) == [.attached(3, [bench.position("user:ann", 4)])])
    try bench.turn(link, .detach(link, Detach(sessions: [2, 3])))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try bench.cursor("user:ann") == 7)
  }

  // MARK: How many devices

  @Test func theDeviceUnseenForLongestMakesRoom() throws {
    var settings = SchedulerSettings()
    settings.devicesPerUserMax = 2
    let bench = try CoreBench(.memory, settings)
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1, device: "first"))
    bench.advance(1000)
    try bench.turn(link, bench.attach(link, 2, device: "second"), .detach(link, Detach(sessions: [1])))
    try bench.turn(link, bench.attach(link, 3, device: "third"))
    #expect(try bench.log.devices(of: "ann").map(\.device) == ["second", "third"])
    // But none that is open.
    #expect(try bench.turn(link, bench.attach(link, 4, device: "fourth", as: 4)) == [.failed(4, .resourceExhausted)])
    #expect(bench.core.devices.sessionCount == 2)
  }

  /// Pages that poll under a connection's name each time push each other out, and no phone that is closed; nor does a new
  /// phone push out who polls.
  @Test(arguments: LogKind.allCases) func connectionsAndNamedDevicesHaveRoomApart(_ engine: LogKind) throws {
    var settings = SchedulerSettings()
    settings.devicesPerUserMax = 3
    let bench = try CoreBench(engine, settings)
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1, device: "phone"), .detach(link, Detach(sessions: [1])))
    for page in 0..<9 {
      bench.advance(1000)
      try bench.turn(
        link, bench.attach(link, 2, device: "conn\(page)", isPassing: true), .detach(link, Detach(sessions: [2])))
    }
    #expect(try bench.log.devices(of: "ann").map(\.device) == ["phone", "conn6", "conn7", "conn8"])
    #expect(try bench.log.device(user: "ann", device: "conn8")?.isPassing == true)
    for device in ["tablet", "desk", "watch"] {
      bench.advance(1000)
      try bench.turn(link, bench.attach(link, 3, device: device))
    }
    #expect(
      try bench.log.devices(of: "ann").map(\.device) == ["conn6", "conn7", "conn8", "tablet", "desk", "watch"])
  }

  @Test func aDeviceNobodySawForAMonthIsForgotten() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1, device: "left"), bench.attach(link, 2, device: "open"))
    try bench.turn(link, .detach(link, Detach(sessions: [1])))
    // By days: one that is connected all the while is seen.
    for _ in 0...30 {
      bench.advance(24 * 3600 * 1000)
      try bench.turn()
      bench.housekeep()
    }
    #expect(try bench.log.devices(of: "ann").map(\.device) == ["open"])
  }

  @Test func beingSeenIsWrittenOnceAnHour() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1), .detach(link, Detach(sessions: [1])))
    bench.advance(SchedulerLimits.seenMilliseconds - 1)
    try bench.turn(link, bench.attach(link, 1))
    #expect(bench.log.counts[.touch] == nil)
    try bench.turn(link, .detach(link, Detach(sessions: [1])))
    bench.advance(1)
    try bench.turn(link, bench.attach(link, 1))
    #expect(try bench.log.device(user: "ann", device: "phone")?.seen == bench.now.wall)
    try bench.turn(link, bench.attach(link, 1, platform: .ios))
    #expect(try bench.log.device(user: "ann", device: "phone")?.platform == .ios)
  }

  // MARK: No device

  /// Page loads without a device's id leave nothing behind and push nobody out.
  @Test(arguments: LogKind.allCases) func aSessionThatIsNoDeviceLeavesNothingBehind(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(
      link, bench.watch(link, [(1, "user:ann")]), bench.attach(link, 1), .detach(link, Detach(sessions: [1])),
      bench.publish(link, "user:ann", id: "1"), bench.publish(link, "user:ann", id: "2"))
    for session in 2...40 as ClosedRange<UInt64> {
      // Each begins as a new device does.
      #expect(
        try bench.turn(link, bench.attach(link, session, device: "", topics: ["user:ann", "chat:c"], as: 7))
          == [.attached(7, [bench.position("user:ann", 0), bench.position("chat:c", 0)])])
      try bench.turn(link, bench.acknowledge(link, session, 1, "user:ann", 2))
      if session > 30 { try bench.turn(link, .detach(link, Detach(sessions: [session]))) }
    }
    bench.advance(SchedulerLimits.seenMilliseconds)
    try bench.turn(link, .detach(link, Detach(sessions: Array(2...30))))
    bench.housekeep()
    #expect(try bench.log.devices(of: "ann").map(\.device) == ["phone"])
    #expect(try bench.turn(link, bench.attach(link, 50, as: 8)) == [.attached(8, [bench.position("user:ann", 0)])])
  }

  @Test func aSessionThatIsNoDeviceComesInWhileTheLogTakesNothing() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann"))
    bench.log.fail(at: [.commit, .reopen])
    try bench.turn(link, bench.publish(link, "user:ann", id: "2"))
    bench.log.fail(at: [.reopen])
    #expect(
      try bench.turn(link, bench.attach(link, 1, device: "", as: 3)) == [.attached(3, [bench.position("user:ann", 0)])])
  }

  /// A device that is new while the clock is wrong gets what was deleted for nobody yet.
  @Test func aDeviceThatIsNewDuringAJumpOfTheClockMissesNothing() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann", ttl: 60))
    bench.now.wall += 3_600_000
    #expect(try bench.turn(link, bench.attach(link, 1, as: 2)) == [.attached(2, [bench.position("user:ann", 0)])])
  }

  // MARK: Tickets

  @Test func aTicketIsNotSpentOnARefusal() throws {
    var settings = SchedulerSettings()
    settings.devicesPerUserMax = 1
    let bench = try CoreBench(.memory, settings)
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1))
    #expect(
      try bench.turn(link, bench.attach(link, 2, device: "desk", ticket: "t", as: 2)) == [
        .failed(2, .resourceExhausted)
      ])
    try bench.turn(link, .detach(link, Detach(sessions: [1])))
    #expect(
      try bench.turn(link, bench.attach(link, 3, device: "desk", ticket: "t", as: 3))
        == [.attached(3, [bench.position("user:ann", 0)])])
  }

  @Test(arguments: LogKind.allCases) func aTicketIsSpentOnce(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    let other = try bench.link(incarnation: 2)
    #expect(try bench.turn(link, bench.attach(link, 1, ticket: "t", as: 1)).count == 1)
    // The session that has it may attach again: its gateway linked anew.
    #expect(
      try bench.turn(link, bench.attach(link, 1, ticket: "t", as: 2)).first
        == .attached(2, [bench.position("user:ann", 0)]))
    #expect(try bench.turn(link, bench.attach(link, 2, ticket: "t", as: 3)) == [.failed(3, .unauthenticated)])
    #expect(try bench.turn(other, bench.attach(other, 1, ticket: "t", as: 4)) == [.failed(4, .unauthenticated)])
    #expect(bench.core.devices.sessionCount == 1)
  }

  @Test func aTicketStaysSpentOverARestart() throws {
    let bench = try CoreBench(.sqlite)
    var link = try bench.link()
    try bench.turn(link, bench.attach(link, 1, ticket: "t"))
    try bench.crash()
    link = try bench.link()
    #expect(try bench.turn(link, bench.attach(link, 2, ticket: "t", as: 2)) == [.failed(2, .unauthenticated)])
    #expect(
      try bench.turn(link, bench.attach(link, 1, ticket: "t", as: 3)) == [.attached(3, [bench.position("user:ann", 0)])]
    )
  }

  @Test func aTicketIsNotSpentByAnAttachThatFailed() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    bench.log.failOnce(at: .commit)
    #expect(try bench.turn(link, bench.attach(link, 1, ticket: "t", as: 1)) == [.failed(1, .unavailable)])
    bench.advance(SchedulerLimits.retryMilliseconds)
    #expect(
      try bench.turn(link, bench.attach(link, 2, ticket: "t", as: 2)) == [.attached(2, [bench.position("user:ann", 0)])]
    )
  }

  /// While nothing can be written, who is known may come in, and a ticket counts once nevertheless.
  @Test func aTicketIsSpentOnceWhileTheLogFails() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1), .detach(link, Detach(sessions: [1])))
    bench.log.fail(at: [.commit, .reopen])
    try bench.turn(link, bench.publish(link, "user:ann"))
    bench.log.fail(at: [.reopen])
    #expect(
      try bench.turn(link, bench.attach(link, 1, ticket: "t", as: 2)) == [.attached(2, [bench.position("user:ann", 0)])]
    )
    #expect(try bench.turn(link, bench.attach(link, 2, ticket: "t", as: 3)) == [.failed(3, .unauthenticated)])
  }

  @Test func aTicketIsForgottenWhenItIsLongInvalid() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1, ticket: "t"))
    bench.advance(2 * SchedulerLimits.ticketMilliseconds)
    bench.housekeep()
    bench.advance(SchedulerLimits.ticketMilliseconds)
    bench.housekeep()
    #expect(
      try bench.turn(link, bench.attach(link, 2, ticket: "t", as: 2)).first
        == .attached(2, [bench.position("user:ann", 0)]))
  }

  /// Asked before anybody is there: the present, or where the device stopped; an inbox that was never read has no place yet.
  @Test(arguments: LogKind.allCases) func saysWhereASessionWouldStart(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(
      (1...3).flatMap { [bench.publish(link, "feed:f", id: "\($0)"), bench.publish(link, "user:ann", id: "\($0)")] })
    func ask(_ device: String) throws -> [Told] {
      try bench.turn(link, bench.starts(link, ["user:ann", "feed:f", "feed:new"], device: device, as: 9))
    }
    let present = bench.position("feed:f", 3)
    #expect(try ask("") == [.starts(9, [.none, present, bench.position("feed:new", 0)])])
    #expect(try ask("phone") == [.starts(9, [.none, present, bench.position("feed:new", 0)])])
    try bench.turn(
      link, bench.attach(link, 1, topics: ["user:ann", "feed:f"]),
      bench.watch(link, [(1, "user:ann"), (2, "feed:f")]))
    try bench.turn(
      link, bench.acknowledge(link, 1, 1, "user:ann", 2),
      bench.publish(link, "feed:f", id: "4"))
    let stopped = [bench.position("user:ann", 2), present, bench.position("feed:new", 0)]
    #expect(try ask("phone") == [.starts(9, stopped)], "while it is open")
    try bench.turn(link, .detach(link, Detach(sessions: [1])))
    #expect(try ask("phone") == [.starts(9, stopped)], "and when it has gone")
    #expect(try ask("tablet") == [.starts(9, [.none, bench.position("feed:f", 4), bench.position("feed:new", 0)])])
  }
}
