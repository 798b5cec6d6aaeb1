import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// What is done between turns: expiry, bounds, cursors, and what people ask.
@Suite struct HousekeepingTests {
  private func everyDay(_ bench: CoreBench) throws {
    try bench.turn()
    bench.housekeep()
  }

  // MARK: Expiry

  @Test(arguments: LogKind.allCases) func whatHasExpiredIsDeletedAndCounted(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(
      link, bench.publish(link, "user:ann", id: "1", ttl: 1), bench.publish(link, "user:ann", id: "2", ttl: 60),
      bench.broadcast(link, to: ["ann", "bob"], ttl: 1))
    bench.advance(2000)
    try everyDay(bench)
    #expect(bench.metrics.expired[Int(EventType.notification.rawValue)]?.value == 3)
    #expect(try bench.events("user:ann") == [2: #"{"n":1}"#])
    // The head outlives its events.
    #expect(try bench.turn(link, bench.publish(link, "user:bob", as: 9)) == [bench.published(9, "user:bob", 2)])
  }

  /// delivery.md, rule 14: the publisher's word on when it was is theirs, and a clock that is years off does nothing here.
  @Test(arguments: LogKind.allCases)
  func thePublishersTimestampChangesNeitherOrderNorExpiry(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    let year: Int64 = 31_536_000_000
    let times = [bench.now.wall, bench.now.wall + 200 * year, bench.now.wall - 20 * year]
    for (index, time) in times.enumerated() {
      try bench.turn(link, bench.publish(link, "user:ann", "\(index)", id: "\(index)", ttl: 60, timestamp: time))
    }
    let all: [UInt64: String] = [1: "0", 2: "1", 3: "2"]
    #expect(try bench.events("user:ann") == all)
    bench.advance(59_000)
    try everyDay(bench)
    #expect(try bench.events("user:ann") == all)
    bench.advance(2000)
    try everyDay(bench)
    #expect(try bench.events("user:ann").isEmpty)
    #expect(bench.metrics.expired[Int(EventType.notification.rawValue)]?.value == 3)
  }

  @Test func aJumpOfTheClockDeletesNothing() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann", ttl: 60))
    bench.now.wall += 3_600_000
    try everyDay(bench)
    #expect(bench.metrics.clockJumps.value == 1)
    #expect(bench.metrics.expired[Int(EventType.notification.rawValue)]?.value == 0)
    // Set right within ten minutes, nothing is lost.
    bench.now.wall -= 3_600_000
    bench.advance(1000)
    try everyDay(bench)
    #expect(try bench.events("user:ann").count == 1)
    // What is believed after that time goes.
    bench.now.wall += 3_600_000
    try everyDay(bench)
    bench.advance(SchedulerLimits.clockHoldMilliseconds)
    try everyDay(bench)
    #expect(bench.metrics.expired[Int(EventType.notification.rawValue)]?.value == 1)
  }

  /// Whoever takes over while the clock is wrong knows what it should say.
  @Test(arguments: [false, true]) func aRestartWhileTheClockIsWrongDeletesNothing(inGoodOrder: Bool) throws {
    let bench = try CoreBench(.sqlite)
    var link = try bench.link()
    try bench.turn(
      link, bench.publish(link, "user:ann", ttl: 60),
      bench.publish(link, "user:bob", deliverAt: bench.now.wall + 3_000_000))
    bench.housekeep()
    bench.advance(30_000)
    bench.now.wall += 3_600_000
    if inGoodOrder {
      try bench.turn()
      try bench.core.stop()
    }
    for _ in 0..<2 {
      try bench.crash()
      bench.advance(15_000)
      try everyDay(bench)
    }
    #expect(bench.metrics.expired[Int(EventType.notification.rawValue)]?.value == 0)
    #expect(try bench.log.delayedCount() == 1)
    // Another boot, at which only the time since it is known to have passed: believed after the same while.
    try bench.crash(boot: "another")
    try everyDay(bench)
    #expect(try bench.log.delayedCount() == 1)
    bench.advance(SchedulerLimits.clockHoldMilliseconds)
    try everyDay(bench)
    #expect(try bench.log.delayedCount() == 0)
    link = try bench.link()
    #expect(
      try bench.turn(link, bench.publish(link, "user:bob", id: "2", as: 9)) == [bench.published(9, "user:bob", 2)])
  }

  // MARK: Bounds

  private func settings(events: UInt64 = 1 << 40, bytes: Int = 1 << 40) -> SchedulerSettings {
    var settings = SchedulerSettings()
    settings.retention = RetentionRule(eventsMax: events, bytesMax: bytes, ageSecondsMax: 3600)
    return settings
  }

  @Test(arguments: LogKind.allCases) func aTopicKeepsAsManyEventsAsItMay(_ engine: LogKind) throws {
    let bench = try CoreBench(engine, settings(events: 32))
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann")]))
    for id in 1...34 { try bench.turn(link, bench.publish(link, "user:ann", id: "\(id)")) }
    bench.housekeep()
    #expect(try bench.events("user:ann").count == 34, "a little more, so that it goes in chunks")
    try bench.turn(link, bench.publish(link, "user:ann", id: "35"))
    bench.housekeep()
    #expect(try bench.events("user:ann").keys.sorted() == Array(4...35))
    #expect(bench.metrics.evicted[Int(EventType.notification.rawValue)]?.value == 3)
    // The floor is told, and outlives a restart of the watch.
    #expect(
      try bench.turn(link, bench.watch(link, [(2, "user:ann")], as: 3))
        == [.watched(3, [bench.head(2, "user:ann", 35, floor: 3)])])
  }

  @Test(arguments: LogKind.allCases) func aTopicOverItsBytesLosesWhatIsTooMuchAndNoMore(_ engine: LogKind) throws {
    let size = CoreBench.record(#"{"a":"\#(String(repeating: "x", count: 8000))"}"#, id: "000").count
    let bench = try CoreBench(engine, settings(bytes: 100 * size))
    let link = try bench.link()
    let payload = #"{"a":"\#(String(repeating: "x", count: 8000))"}"#
    var id = 100
    func publish(_ count: Int) throws {
      for _ in 0..<count {
        id += 1
        try bench.turn(link, bench.publish(link, "user:ann", payload, id: "\(id)"))
      }
      bench.housekeep()
    }
    // Its bytes are counted from the first time they could be too many.
    try publish(500)
    #expect(try bench.events("user:ann").count == 100)
    try publish(6)
    #expect(try bench.events("user:ann").count == 106)
    try publish(1)
    #expect(try bench.events("user:ann").keys.sorted() == Array(408...507))
  }

  @Test func trimmingGoesInChunks() throws {
    let bench = try CoreBench(.memory, settings(events: 1))
    let link = try bench.link()
    try bench.turn((1...1200).map { bench.publish(link, "user:ann", id: "\($0)") })
    #expect(bench.core.housekeep(isIdle: true, at: bench.now))
    #expect(try bench.log.topic(named: "user:ann")?.floor == UInt64(StoreLimits.chunkRows))
    bench.housekeep()
    #expect(try bench.events("user:ann").keys.sorted() == [1200])
  }

  // MARK: Cursors

  /// Writing back goes in chunks, never in a turn's transaction.
  @Test func acknowledgedPositionsAreWrittenWithinASecond() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    let users = 0..<(StoreLimits.chunkRows + 100)
    try bench.turn([bench.watch(link, users.map { (UInt32($0), "user:\($0)") })])
    try bench.turn(users.map { bench.attach(link, UInt64($0), user: "\($0)") })
    try bench.turn(users.map { bench.publish(link, "user:\($0)") })
    bench.housekeep()
    try bench.turn(users.map { bench.acknowledge(link, UInt64($0), UInt32($0), "user:\($0)", 1) })
    #expect(try bench.cursor(user: "7", "user:7") == 0)
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    for user in users { #expect(try bench.cursor(user: "\(user)", "user:\(user)") == 1) }
  }

  @Test func stoppingWritesEverythingBack() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(
      link, bench.watch(link, [(1, "user:ann")]), bench.attach(link, 1), bench.publish(link, "user:ann"))
    try bench.turn(link, bench.acknowledge(link, 1, 1, "user:ann", 1))
    try bench.core.stop()
    try bench.crash()
    #expect(try bench.cursor("user:ann") == 1)
  }

  // MARK: Memory

  @Test func topicsNobodyNeedsAreForgotten() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann")]))
    for start in stride(from: 0, to: SchedulerLimits.idleTopicsMax + 4000, by: 1000) {
      try bench.turn((start..<(start + 1000)).map { bench.publish(link, "chat:\($0)") })
    }
    for _ in 0..<100 {
      bench.advance(1000)
      bench.housekeep()
    }
    #expect(bench.core.topics.count <= SchedulerLimits.idleTopicsMax + 1)
    #expect(
      try bench.turn(link, bench.publish(link, "chat:0", as: 1), bench.publish(link, "user:ann", as: 2)).count == 3)
  }

  // MARK: Questions
}
