import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// Broadcasts in the background: their recipients come in parts, and each gets the event once, whatever happens.
@Suite struct BroadcastTests {
  static let count = 1500
  private let users = (0..<BroadcastTests.count).map { "u\($0)" }

  private func begin(
    _ bench: CoreBench, _ link: LinkID, attempt: UInt64 = 1, id: String = "b1", content: UInt64 = 9, ttl: UInt32? = nil,
    as correlation: UInt32 = 0
  ) -> Command {
    .broadcasts(
      link, correlation: correlation,
      .begin(
        BeginBroadcast(
          owner: "shop", attempt: attempt, contentHash: content,
          record: CoreBench.record(#"{"b":1}"#, id: id, type: .notification, priority: .normal, ttl: ttl),
          recipients: UInt32(users.count))))
  }

  private func name(_ bench: CoreBench, id: String = "b1") -> UInt64 {
    Array(id.utf8).withUnsafeBytes { bench.log.identity.hash(owner: "shop", eventID: $0) }
  }

  private func part(
    _ bench: CoreBench, _ link: LinkID, _ range: Range<Int>, attempt: UInt64 = 1, id: String = "b1",
    as correlation: UInt32 = 0
  ) -> Command {
    .broadcasts(
      link, correlation: correlation,
      .part(
        BroadcastPart(
          broadcast: name(bench, id: id), attempt: attempt, first: UInt32(range.lowerBound),
          recipients: Array(users[range]))))
  }

  /// Accepts a broadcast, and no more than that.
  private func accept(_ bench: CoreBench, _ link: LinkID, id: String = "b1", ttl: UInt32? = nil) throws {
    try bench.turn(link, begin(bench, link, id: id, ttl: ttl), part(bench, link, 0..<1000, id: id))
    try bench.turn(link, part(bench, link, 1000..<1500, id: id))
  }

  private func status(_ bench: CoreBench, _ link: LinkID, owner: String = "shop") throws -> Told? {
    try bench.turn(
      link, .broadcasts(link, correlation: 5, .query(BroadcastQuery(owner: owner, broadcast: name(bench))))
    ).first
  }

  private func served(_ bench: CoreBench) throws -> Int {
    Int(try bench.log.broadcast(name(bench))?.done ?? 0)
  }

  /// Lets the engine turn until nothing is left to serve.
  private func finish(_ bench: CoreBench) throws {
    for _ in 0..<1000 where try bench.log.unfinishedBroadcasts().contains(where: { $0.state == .running }) {
      try bench.turn([])
    }
  }

  private func expectEverybodyHasItOnce(_ bench: CoreBench, _ location: SourceLocation = #_sourceLocation) throws {
    for user in users {
      let topic = try bench.log.topic(named: "user:" + user)
      guard topic?.head == 1 else {
        Issue.record("\(user) has it \(topic?.head ?? 0) times", sourceLocation: location)
        return
      }
    }
    #expect(try bench.events("user:u0") == [1: #"{"b":1}"#], sourceLocation: location)
    #expect(try bench.events("user:u1499") == [1: #"{"b":1}"#], sourceLocation: location)
  }

  @Test(arguments: LogKind.allCases) func everyRecipientGetsItOnce(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:u7"), (2, "user:u1499")]))
    let id = name(bench)
    #expect(
      try bench.turn(link, begin(bench, link, as: 1), part(bench, link, 0..<1000, as: 2)) == [
        .begun(1, BroadcastBegun(broadcast: id, durability: bench.log.durability, duplicate: false)),
        .partTaken(2, 1000),
      ])
    // Nothing is delivered before all of it is there.
    try bench.turn([])
    #expect(try bench.log.topic(named: "user:u0") == nil)
    #expect(try status(bench, link) == .failed(5, .notFound))
    var told = try bench.turn(link, part(bench, link, 1000..<1500, as: 3))
    #expect(told.first == .partTaken(3, 1500))
    for _ in 0..<100 where try served(bench) < 1500 { told += try bench.turn([])[link] ?? [] }
    try expectEverybodyHasItOnce(bench)
    let delivered = told.filter { if case .delivered = $0 { true } else { false } }
    #expect(
      delivered == [
        .delivered(#"{"b":1}"#, [Deliver.Target(handle: 1, offset: 1)]),
        .delivered(#"{"b":1}"#, [Deliver.Target(handle: 2, offset: 1)]),
      ])
    #expect(
      try status(bench, link)
        == .broadcastStatus(
          5,
          BroadcastStatus(
            eventID: "b1", recipients: 1500, done: 1500, failed: 0, startedMilliseconds: CoreBench.start,
            finishedMilliseconds: CoreBench.start)))
    #expect(try status(bench, link, owner: "bank") == .failed(5, .notFound))
    #expect(bench.metrics.broadcastRecipients.with("done").value == 1500)
  }

  /// Each turn serves a bounded number, fewer beside requests, and the loop is told to come back at once.
  @Test func requestsGoFirst() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try accept(bench, link)
    #expect(try served(bench) == SchedulerLimits.broadcastChunkBusy)
    #expect(bench.core.deadline == bench.now.monotonic)
    let told = try bench.turn(link, bench.publish(link, "user:zoe", as: 3))
    #expect(told == [bench.published(3, "user:zoe", 1)])
    #expect(try served(bench) == 2 * SchedulerLimits.broadcastChunkBusy)
    try bench.turn([])
    #expect(try served(bench) == 2 * SchedulerLimits.broadcastChunkBusy + SchedulerLimits.broadcastChunkIdle)
    try finish(bench)
    bench.housekeep()
    #expect(bench.core.deadline > bench.now.monotonic)
  }

  @Test func peopleCanAskWhatIsUnderWay() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try accept(bench, link)
    try bench.turn(link, begin(bench, link, id: "b2"))
    guard case .broadcasts(let rows)? = try bench.ask(.broadcasts).first else {
      Issue.record("no answer")
      return
    }
    #expect(Set(rows.map { "\($0.eventID) \($0.state)" }) == ["b1 running", "b2 receiving"])
  }

  @Test func severalTakeTurns() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try accept(bench, link)
    try accept(bench, link, id: "b2")
    for _ in 0..<4 { try bench.turn([]) }
    let rows = try bench.log.unfinishedBroadcasts()
    #expect(rows.count == 2 && rows.allSatisfy { $0.done > 0 })
    try finish(bench)
    #expect(try bench.events("user:u3").count == 2)
  }

  /// Whoever dies half-way: the next process goes on behind the last chunk that was committed.
  @Test(arguments: [0, 1, 3, 7]) func goesOnWhereItWasAfterACrash(turns: Int) throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try accept(bench, link)
    for _ in 0..<turns { try bench.turn([]) }
    let before = try served(bench)
    try bench.crash()
    #expect(try served(bench) == before)
    try finish(bench)
    try expectEverybodyHasItOnce(bench)
    #expect(try bench.log.broadcast(name(bench)).map { [$0.done, $0.failed] } == [1500, 0])
  }

  /// A commit that fails has happened or not: either way it goes on exactly there.
  @Test(arguments: LogKind.allCases, [true, false]) func aFailedCommitServesNobodyTwice(
    _ engine: LogKind, keeps: Bool
  ) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try accept(bench, link)
    bench.log.keepsFailedCommits = keeps
    for _ in 0..<6 {
      bench.log.failOnce(at: .commit)
      try bench.turn([])
      bench.advance(SchedulerLimits.retryMilliseconds)
      try bench.turn([])
    }
    try finish(bench)
    try expectEverybodyHasItOnce(bench)
  }

  @Test(arguments: LogKind.allCases) func theSameCallAgainIsADuplicate(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try accept(bench, link)
    let known = Told.begun(
      7, BroadcastBegun(broadcast: name(bench), durability: bench.log.durability, duplicate: true))
    #expect(try bench.turn(link, begin(bench, link, attempt: 2, as: 7)).first == known)
    try finish(bench)
    #expect(try bench.turn(link, begin(bench, link, attempt: 3, as: 7)).first == known)
    #expect(try bench.turn(link, begin(bench, link, content: 8, as: 8)) == [.failed(8, .alreadyExists)])
    try expectEverybodyHasItOnce(bench)
  }

  /// A caller who got no answer calls again, at another gateway: the first call's parts count for nothing, and cannot
  /// come in between.
  @Test func aLaterCallTakesOver() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(link, begin(bench, link), part(bench, link, 0..<1000))
    #expect(try bench.turn(link, begin(bench, link, content: 8, as: 4)) == [.failed(4, .alreadyExists)])
    try bench.turn(link, begin(bench, link, attempt: 2))
    #expect(try bench.turn(link, part(bench, link, 1000..<1500, as: 5)) == [.failed(5, .aborted)])
    #expect(try bench.turn(link, part(bench, link, 1000..<1500, attempt: 2, as: 5)) == [.failed(5, .invalidArgument)])
    try bench.turn(link, part(bench, link, 0..<900, attempt: 2))
    // A part that comes twice is taken once.
    #expect(try bench.turn(link, part(bench, link, 0..<900, attempt: 2, as: 6)) == [.partTaken(6, 900)])
    try bench.turn(link, part(bench, link, 900..<1500, attempt: 2))
    try finish(bench)
    try expectEverybodyHasItOnce(bench)
  }

  @Test func recipientsThatStopComingAreForgotten() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(link, begin(bench, link), part(bench, link, 0..<1000))
    bench.advance(SchedulerLimits.broadcastPartMilliseconds - 1)
    bench.housekeep()
    #expect(try bench.log.broadcast(name(bench)) != nil)
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try bench.log.broadcast(name(bench)) == nil)
    #expect(try bench.turn(link, part(bench, link, 1000..<1500, as: 5)) == [.failed(5, .aborted)])
    // Nobody was told that it is accepted, so the same call may come again.
    try accept(bench, link)
    try finish(bench)
    try expectEverybodyHasItOnce(bench)
  }

  /// Its time is over before everybody was reached: the others are counted, and shown nothing.
  @Test(arguments: LogKind.allCases) func whoIsNotReachedInTimeIsCounted(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try accept(bench, link, ttl: 2)
    bench.advance(2000)
    bench.housekeep()
    try bench.turn([])
    let done = UInt32(SchedulerLimits.broadcastChunkBusy)
    #expect(try bench.log.broadcast(name(bench)).map { [$0.done, $0.failed] } == [done, 1500 - done])
    #expect(bench.metrics.broadcastRecipients.with("failed").value == 1500 - Int(done))
    #expect(try bench.log.unfinishedBroadcasts().isEmpty && bench.events("user:u0").isEmpty)
  }

  @Test func onlySoManyAtATimeAndFinishedOnesAreForgotten() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    for number in 0..<SchedulerLimits.broadcastsMax { try bench.turn(link, begin(bench, link, id: "n\(number)")) }
    #expect(try bench.turn(link, begin(bench, link, id: "more", as: 4)) == [.failed(4, .resourceExhausted)])
    bench.advance(SchedulerLimits.broadcastPartMilliseconds + SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    try accept(bench, link)
    try finish(bench)
    bench.advance(SchedulerLimits.broadcastKeptMilliseconds + SchedulerLimits.deviceSweepMilliseconds)
    // The wall clock went with the monotonic one: no jump, and nothing is withheld.
    bench.housekeep()
    #expect(try bench.log.broadcast(name(bench)) == nil)
  }

  /// A broadcast that has lost its recipients ends; it does not keep the log from taking events.
  @Test func aBrokenBroadcastEndsAlone() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try accept(bench, link)
    try bench.log.begin()
    try bench.log.removeParts(ofBroadcast: name(bench))
    try bench.log.commit()
    for _ in 0..<30 { try bench.turn([]) }
    #expect(try bench.log.unfinishedBroadcasts().isEmpty)
    #expect(try bench.turn(link, bench.publish(link, "user:zoe", as: 3)) == [bench.published(3, "user:zoe", 1)])
  }
}
