import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// Publishing, broadcasting, and what is held for later.
@Suite struct PublishTests {
  // MARK: Appending

  @Test(arguments: LogKind.allCases) func whatIsAnsweredIsInTheLog(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    let told = try bench.turn(
      link, bench.publish(link, "user:ann", #"{"n":1}"#, id: "e1", as: 1),
      bench.publish(link, "user:ann", #"{"n":2}"#, id: "e2", as: 2),
      bench.publish(link, "user:bob", #"{"n":3}"#, id: "e1", as: 3))
    #expect(
      told == [
        bench.published(1, "user:ann", 1), bench.published(2, "user:ann", 2), bench.published(3, "user:bob", 1),
      ])
    #expect(try bench.events("user:ann") == [1: #"{"n":1}"#, 2: #"{"n":2}"#])
    #expect(bench.log.counts[.commit] == 1, "a turn is one commit")
  }

  @Test func theAnswerSaysHowDurableItIs() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    let told = try bench.turn(link, bench.publish(link, "user:ann", as: 1))
    #expect(
      told == [.published(1, Published(position: bench.position("user:ann", 1), durability: .os, duplicate: false))])
  }

  @Test func whoPublishedAndIsGoneIsAppendedFor() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    #expect(try bench.turn([bench.publish(link, "user:ann"), .linkClosed(link)]).isEmpty)
    #expect(try bench.events("user:ann").count == 1)
    // A link that the engine does not know any more.
    #expect(try bench.turn([bench.publish(link, "user:ann", id: "e2")]).isEmpty)
    #expect(try bench.events("user:ann").count == 2)
  }

  // MARK: Once

  @Test(arguments: LogKind.allCases) func theSameEventIsAppendedOnce(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann"), bench.publish(link, "user:ann", id: "e2"))
    let again = try bench.turn(link, bench.publish(link, "user:ann", as: 7))
    #expect(again == [bench.published(7, "user:ann", 1, duplicate: true)])
    #expect(try bench.events("user:ann").count == 2)
    #expect(bench.metrics.duplicates.value == 1)
  }

  @Test func anotherPublisherTopicOrIDIsAnotherEvent() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    let told = try bench.turn(
      link, bench.publish(link, "user:ann", as: 1), bench.publish(link, "user:ann", owner: "bank", as: 2),
      bench.publish(link, "user:bob", as: 3), bench.publish(link, "user:ann", id: "e2", as: 4))
    #expect(
      told == [
        bench.published(1, "user:ann", 1), bench.published(2, "user:ann", 2), bench.published(3, "user:bob", 1),
        bench.published(4, "user:ann", 3),
      ])
  }

  /// The duplicate is answered with the commit it waited for, and not before.
  @Test func aDuplicateOfAnEventThatIsCommittingWaitsForIt() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    let told = try bench.turn(link, bench.publish(link, "user:ann", as: 1), bench.publish(link, "user:ann", as: 2))
    #expect(told == [bench.published(1, "user:ann", 1), bench.published(2, "user:ann", 1, duplicate: true)])
    // And shares its fate.
    bench.log.failOnce(at: .commit)
    let failed = try bench.turn(
      link, bench.publish(link, "user:ann", id: "e2", as: 3), bench.publish(link, "user:ann", id: "e2", as: 4))
    #expect(failed == [.failed(3, .unavailable), .failed(4, .unavailable)])
  }

  @Test(arguments: LogKind.allCases) func theSameIDWithOtherContentIsRefused(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann", #"{"n":1}"#))
    let told = try bench.turn(link, bench.publish(link, "user:ann", #"{"n":2}"#, as: 2))
    #expect(told == [.failed(2, .alreadyExists)])
    #expect(try bench.events("user:ann") == [1: #"{"n":1}"#])
  }

  /// At least ten minutes, whatever the event's own time; then it is an event like any other.
  @Test func anEventIsRememberedLongerThanItLives() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann", ttl: 1))
    bench.advance(StoreLimits.keyMillisecondsMin - 1)
    bench.housekeep()
    #expect(
      try bench.turn(link, bench.publish(link, "user:ann", as: 2, ttl: 1))
        == [bench.published(2, "user:ann", 1, duplicate: true)])
    bench.advance(1)
    #expect(try bench.turn(link, bench.publish(link, "user:ann", as: 3, ttl: 1)) == [bench.published(3, "user:ann", 2)])
  }

  /// Keys are forgotten by the clock that deletes, so that a wrong one lets nothing in twice.
  @Test func aClockThatJumpedAheadForgetsNothing() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann", ttl: 60), bench.broadcast(link, to: ["bob"], ttl: 60))
    bench.now.wall += 3_600_000
    let told = try bench.turn(
      link, bench.publish(link, "user:ann", as: 3, ttl: 60), bench.broadcast(link, to: ["bob"], as: 4, ttl: 60))
    #expect(
      told == [
        bench.published(3, "user:ann", 1, duplicate: true),
        .broadcasted(4, Broadcasted(recipients: 1, durability: .memory, duplicate: true)),
      ])
  }

  @Test func whatIsTheEnginesOwnIsNobodysToPublish() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    let told = try bench.turn(
      link, bench.publish(link, "sys:access", as: 1), bench.publish(link, "presence:ann", as: 2),
      bench.publish(link, "system:a", as: 3))
    #expect(told == [.failed(1, .permissionDenied), .failed(2, .permissionDenied), bench.published(3, "system:a", 1)])
  }

  @Test func aRestartRemembersWhatWasPublished() throws {
    let bench = try CoreBench(.sqlite)
    var link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann"))
    try bench.crash()
    link = try bench.link()
    #expect(
      try bench.turn(link, bench.publish(link, "user:ann", as: 2))
        == [bench.published(2, "user:ann", 1, duplicate: true)])
  }

  // MARK: Refusals

  @Test func whatIsNoEventFailsAlone() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    let broken = Publish(owner: "shop", topic: Topic("user:ann")!, contentHash: 1, record: [1, 2, 3])
    let told = try bench.turn(
      link, bench.publish(link, "user:ann", as: 1), .publish(link, correlation: 2, broken),
      bench.publish(link, "user:ann", id: "t", as: 3, type: .typingIndicator),
      bench.publish(link, "user:ann", id: "l", as: 4, ttl: Limits.ttlSecondsMax + 1),
      bench.publish(link, "user:ann", id: "z", as: 5, ttl: 0),
      bench.publish(
        link, "user:ann", id: "o", owner: String(repeating: "o", count: SchedulerLimits.ownerBytesMax + 1), as: 6),
      bench.publish(link, "user:ann", id: "e2", as: 7))
    #expect(
      told == [
        bench.published(1, "user:ann", 1), .failed(2, .invalidArgument), .failed(3, .invalidArgument),
        .failed(4, .invalidArgument), .failed(5, .invalidArgument), .failed(6, .invalidArgument),
        bench.published(7, "user:ann", 2),
      ])
  }

  // MARK: Expiry

  /// TTL counts from acceptance, and the kind's rule bounds it.
  @Test func theExpiryIsTheShorterOfTTLAndRule() throws {
    var settings = SchedulerSettings()
    settings.retentionByKind["feed"] = RetentionRule(eventsMax: 100, bytesMax: 1 << 20, ageSecondsMax: 10)
    let bench = try CoreBench(.memory, settings)
    let link = try bench.link()
    bench.advance(500)
    try bench.turn(
      link, bench.publish(link, "feed:news", ttl: 60), bench.publish(link, "user:ann", ttl: 60))
    bench.advance(9_999)
    #expect(try bench.events("feed:news").count == 1)
    bench.advance(1)
    #expect(try bench.events("feed:news").isEmpty)
    #expect(try bench.events("user:ann").count == 1)
    bench.advance(50_000)
    #expect(try bench.events("user:ann").isEmpty)
  }

  // MARK: To many

  @Test(arguments: LogKind.allCases) func aBroadcastIsInEveryInboxOnce(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann"), (2, "user:bob")]))
    let told = try bench.turn(
      link, bench.publish(link, "user:ann", as: 1), bench.broadcast(link, to: ["ann", "bob", "cem", "ann"], as: 2))
    #expect(
      told == [
        bench.published(1, "user:ann", 1),
        .broadcasted(2, Broadcasted(recipients: 3, durability: bench.log.durability, duplicate: false)),
        .delivered(#"{"n":1}"#, [.init(handle: 1, offset: 1)]),
        .delivered(#"{"b":1}"#, [.init(handle: 1, offset: 2), .init(handle: 2, offset: 1)]),
      ])
    #expect(try bench.events("user:ann") == [1: #"{"n":1}"#, 2: #"{"b":1}"#])
    #expect(try bench.events("user:cem") == [1: #"{"b":1}"#])
  }

  @Test func aBroadcastIsRememberedAndCompared() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.broadcast(link, to: ["ann", "bob"]))
    let told = try bench.turn(
      link, bench.broadcast(link, to: ["ann", "bob"], as: 2), bench.broadcast(link, to: ["ann"], #"{"b":2}"#, as: 3),
      bench.broadcast(link, to: [], #"{"b":3}"#, id: "b2", as: 4))
    #expect(
      told == [
        .broadcasted(2, Broadcasted(recipients: 2, durability: .memory, duplicate: true)), .failed(3, .alreadyExists),
        .failed(4, .invalidArgument),
      ])
    #expect(try bench.events("user:ann").count == 1)
  }

  @Test(arguments: LogKind.allCases) func aBroadcastIsForAllOrForNobody(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    bench.log.failOnce(at: .append, after: 2)
    let told = try bench.turn(link, bench.broadcast(link, to: ["ann", "bob", "cem"], as: 1))
    #expect(told == [.failed(1, .unavailable)])
    for user in ["ann", "bob", "cem"] { #expect(try bench.events("user:" + user).isEmpty) }
    // And may be sent again.
    bench.advance(SchedulerLimits.retryMilliseconds)
    #expect(
      try bench.turn(link, bench.broadcast(link, to: ["ann", "bob", "cem"], as: 2))
        == [.broadcasted(2, Broadcasted(recipients: 3, durability: bench.log.durability, duplicate: false))])
  }

  // MARK: Later

  @Test(arguments: LogKind.allCases) func whatIsHeldIsAppendedWhenItIsDue(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann")]))
    let due = bench.now.wall + 5000
    let told = try bench.turn(link, bench.publish(link, "user:ann", as: 1, ttl: 60, deliverAt: due))
    #expect(
      told == [.published(1, Published(position: .none, durability: bench.log.durability, duplicate: false))])
    bench.housekeep()
    #expect(bench.core.deadline <= bench.now.monotonic + 5000)
    bench.advance(4999)
    #expect(try bench.turn(link).isEmpty)
    bench.advance(1)
    #expect(try bench.turn(link) == [.delivered(#"{"n":1}"#, [.init(handle: 1, offset: 1)])])
    // Its life begins now.
    bench.advance(59_999)
    #expect(try bench.events("user:ann").count == 1)
    bench.advance(1)
    #expect(try bench.events("user:ann").isEmpty)
  }

  @Test func whatIsHeldIsAcceptedOnce() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    let due = bench.now.wall + 5000
    try bench.turn(link, bench.publish(link, "user:ann", deliverAt: due))
    let held = Told.published(2, Published(position: .none, durability: .memory, duplicate: true))
    #expect(try bench.turn(link, bench.publish(link, "user:ann", as: 2, deliverAt: due)) == [held])
    bench.housekeep()
    bench.advance(5000)
    try bench.turn()
    // Now it has a place.
    #expect(
      try bench.turn(link, bench.publish(link, "user:ann", as: 3, deliverAt: due))
        == [bench.published(3, "user:ann", 1, duplicate: true)])
    #expect(try bench.events("user:ann").count == 1)
  }

  @Test func whatIsHeldSurvivesARestart() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann", deliverAt: bench.now.wall + 5000))
    try bench.crash()
    bench.advance(5000)
    try bench.turn()
    #expect(try bench.events("user:ann").count == 1)
    try bench.crash()
    try bench.turn()
    #expect(try bench.events("user:ann").count == 1)
  }

  @Test func onlySoMuchIsHeld() throws {
    var settings = SchedulerSettings()
    settings.delayedMax = 2
    let bench = try CoreBench(.memory, settings)
    let link = try bench.link()
    let due = bench.now.wall + 5000
    let told = try bench.turn(
      link, bench.publish(link, "user:ann", id: "1", as: 1, deliverAt: due),
      bench.publish(link, "user:ann", id: "2", as: 2, deliverAt: due),
      bench.publish(link, "user:ann", id: "3", as: 3, deliverAt: due),
      bench.publish(
        link, "user:ann", id: "4", as: 4, deliverAt: bench.now.wall + SchedulerLimits.delayMilliseconds + 1))
    #expect(told.last == .failed(4, .invalidArgument))
    #expect(told[2] == .failed(3, .resourceExhausted))
  }

  /// What is long due is not released by a clock that jumped, and is when the jump was taken back or believed.
  @Test func aJumpOfTheClockReleasesNothing() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann", deliverAt: bench.now.wall + 3_600_000))
    bench.housekeep()
    bench.now.wall += 7_200_000
    try bench.turn()
    #expect(try bench.events("user:ann").isEmpty)
    bench.advance(SchedulerLimits.clockHoldMilliseconds - 1)
    try bench.turn()
    #expect(try bench.log.delayedCount() == 1)
    bench.advance(1)
    try bench.turn()
    #expect(try bench.log.delayedCount() == 0)
  }

  @Test func anOperatorsWordReleasesWhatAJumpHolds() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann", deliverAt: bench.now.wall + 3_600_000))
    bench.housekeep()
    bench.now.wall += 7_200_000
    try bench.turn()
    #expect(try bench.ask(.trustClock) == [.done])
    try bench.turn()
    #expect(try bench.events("user:ann").count == 1)
  }
}
