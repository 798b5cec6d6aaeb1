import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// Plugins that follow the whole log.
@Suite struct FollowTests {
  private func plugin(_ bench: CoreBench, incarnation: UInt64 = 50) throws -> LinkID {
    let (id, command) = bench.newLink(incarnation: incarnation, isGateway: false)
    #expect(try bench.turn([command])[id] == nil, "a plugin is told nothing of access")
    return id
  }

  private func follow(
    _ link: LinkID, _ types: EventTypes = .durable, name: String = "webhook", as correlation: UInt32 = 1
  ) -> Command { .follow(link, correlation: correlation, Follow(name: name, types: types)) }

  private func acknowledge(_ link: LinkID, _ sequence: UInt64) -> Command {
    .acknowledgeFollowed(link, AcknowledgeFollowed(sequence: sequence))
  }

  private func following(_ bench: CoreBench, _ acknowledged: UInt64, missed: UInt64 = 0) -> Told {
    .following(1, Following(generation: bench.log.identity.generation, acknowledged: acknowledged, missed: missed))
  }

  private func read(_ bench: CoreBench, after: UInt64 = 0) throws -> FollowPage {
    try bench.log.reader().follow(
      FollowRequest(types: .durable, after: after, bytesMax: 1 << 20, nowMilliseconds: bench.now.wall))
  }

  @Test(arguments: LogKind.allCases) func keepsWhatIsAppendedFromThenOn(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let gateway = try bench.link()
    let link = try plugin(bench)
    try bench.turn(gateway, bench.publish(gateway, "user:ann", id: "before"))
    let start = bench.log.lastSequence
    #expect(try bench.turn(link, follow(link)) == [following(bench, start)])
    let told = try bench.turn([
      bench.publish(gateway, "user:ann", id: "1"), bench.publish(gateway, "chat:c", id: "2", type: .chatMessage),
      bench.broadcast(gateway, to: ["ann", "bob"]),
    ])
    #expect(told[link] == [.grew(FollowedGrew(sequence: bench.log.lastSequence, missed: 0))])
    #expect(try read(bench, after: start).rows.map(\.topic) == ["user:ann", "chat:c", "user:ann", "user:bob"])
    #expect(bench.core.logFollowers.kept == 4)
  }

  /// What a plugin has read of an inbox that is erased must go nowhere any more.
  @Test func isToldOfAnInboxThatIsErased() throws {
    let bench = try CoreBench()
    let gateway = try bench.link()
    let link = try plugin(bench)
    try bench.turn(link, follow(link))
    for id in ["1", "2"] { try bench.turn(gateway, bench.publish(gateway, "user:ann", id: id)) }
    let erase = Erase(user: "ann", issuedBeforeMilliseconds: 1000, untilMilliseconds: CoreBench.start + 1_000_000)
    let told = try bench.turn([.access(gateway, correlation: 7, .erase(erase))])
    #expect(told[link] == [.followedErased(FollowedErased(topic: Topic("user:ann")!, upTo: 2))])
    #expect(told[gateway]?.contains { if case .followedErased = $0 { true } else { false } } == false)
  }

  @Test func tellsOfTheTypesThatWereAskedFor() throws {
    let bench = try CoreBench()
    let gateway = try bench.link()
    let (one, two) = (try plugin(bench, incarnation: 50), try plugin(bench, incarnation: 51))
    try bench.turn([
      follow(one, EventTypes([.chatMessage]), name: "one"), follow(two, EventTypes([.notification]), name: "two"),
    ])
    let told = try bench.turn([bench.publish(gateway, "user:ann", id: "1", type: .chatMessage)])
    #expect(told[one]?.count == 1 && told[two] == nil)
    // A type that nobody follows costs nothing and is not kept.
    #expect(try bench.turn([bench.publish(gateway, "user:ann", id: "2", type: .matchCreated)])[one] == nil)
    #expect(bench.core.logFollowers.kept == 1)
  }

  @Test func aDuplicateIsNotKeptAgainAndALateEventIsKeptWhenItIsDue() throws {
    let bench = try CoreBench()
    let gateway = try bench.link()
    let link = try plugin(bench)
    try bench.turn(link, follow(link))
    try bench.turn(gateway, bench.publish(gateway, "user:ann", id: "1"), bench.publish(gateway, "user:ann", id: "1"))
    try bench.turn(gateway, bench.publish(gateway, "user:ann", id: "late", deliverAt: bench.now.wall + 5000))
    #expect(bench.core.logFollowers.kept == 1)
    bench.advance(5000)
    _ = bench.core.housekeep(isIdle: true, at: bench.now)
    #expect(try bench.turn()[link] == [.grew(FollowedGrew(sequence: bench.log.lastSequence, missed: 0))])
    #expect(bench.core.logFollowers.kept == 2)
  }

  @Test(arguments: LogKind.allCases) func forgetsWhatEverybodyHasAcknowledged(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let gateway = try bench.link()
    let (one, two) = (try plugin(bench, incarnation: 50), try plugin(bench, incarnation: 51))
    try bench.turn([follow(one, name: "one"), follow(two, name: "two")])
    for id in 1...5 { try bench.turn(gateway, bench.publish(gateway, "user:ann", id: "\(id)")) }
    let rows = try read(bench).rows
    try bench.turn([acknowledge(one, rows[3].sequence), acknowledge(two, rows[1].sequence)])
    bench.housekeep()
    #expect(try read(bench).rows.map(\.sequence) == rows[2...].map(\.sequence))
    // Never back, and never beyond what there is.
    try bench.turn([acknowledge(one, 1), acknowledge(two, .max)])
    bench.housekeep()
    #expect(try read(bench).rows.map(\.sequence) == [rows[4].sequence])
    try bench.turn([acknowledge(one, .max)])
    bench.housekeep()
    #expect(try read(bench).rows.isEmpty && bench.core.logFollowers.kept == 0)
  }

  @Test func goesOnWhereItWasAfterACrash() throws {
    let bench = try CoreBench(.sqlite)
    let gateway = try bench.link()
    let link = try plugin(bench)
    try bench.turn(link, follow(link))
    for id in 1...4 { try bench.turn(gateway, bench.publish(gateway, "user:ann", id: "\(id)")) }
    let rows = try read(bench).rows
    try bench.turn(link, acknowledge(link, rows[1].sequence))
    bench.advance(1000)
    bench.housekeep()
    try bench.crash()
    let again = try plugin(bench, incarnation: 60)
    #expect(try bench.turn(again, follow(again)) == [following(bench, rows[1].sequence)])
    #expect(bench.core.logFollowers.kept == 2)
    #expect(try read(bench, after: rows[1].sequence).rows == Array(rows[2...]))
  }

  @Test func dropsTheOldestWhenTooManyWaitAndSaysSo() throws {
    var settings = SchedulerSettings()
    settings.followedMax = 1000
    let bench = try CoreBench(.memory, settings)
    let gateway = try bench.link()
    let link = try plugin(bench)
    try bench.turn(link, follow(link))
    for id in 1...1010 { try bench.turn(gateway, bench.publish(gateway, "user:ann", id: "\(id)")) }
    bench.housekeep()
    #expect(bench.core.logFollowers.kept == 1000)
    let told = try bench.turn([bench.publish(gateway, "user:ann", id: "more")])
    #expect(told[link] == [.grew(FollowedGrew(sequence: bench.log.lastSequence, missed: 10))])
    #expect(try read(bench).rows.first?.offset == 11)
  }

  @Test(arguments: LogKind.allCases) func aFailedCommitKeepsNothingAndTellsNobody(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let gateway = try bench.link()
    let link = try plugin(bench)
    try bench.turn(link, follow(link))
    bench.log.failOnce(at: .commit)
    let told = try bench.turn([bench.publish(gateway, "user:ann", id: "1", as: 7)])
    #expect(told[gateway] == [.failed(7, .unavailable)] && told[link] == nil)
    bench.advance(1000)
    try bench.turn()
    #expect(bench.core.logFollowers.kept == 0)
    try bench.turn(gateway, bench.publish(gateway, "user:ann", id: "1"))
    #expect(try read(bench).rows.count == 1)
  }

  @Test func aFollowerThatWasNotCommittedIsRefused() throws {
    let bench = try CoreBench(.sqlite)
    let link = try plugin(bench)
    bench.log.failOnce(at: .commit)
    #expect(try bench.turn(link, follow(link)) == [.failed(1, .unavailable)])
    bench.advance(1000)
    try bench.turn()
    #expect(bench.core.logFollowers.rows.isEmpty)
    #expect(try bench.turn(link, follow(link)) == [following(bench, 0)])
  }

  @Test func thereIsABoundOnFollowers() throws {
    let bench = try CoreBench()
    let link = try plugin(bench)
    for number in 1...SchedulerLimits.logFollowersMax { try bench.turn(link, follow(link, name: "f\(number)")) }
    #expect(try bench.turn(link, follow(link, name: "more")) == [.failed(1, .resourceExhausted)])
    #expect(try bench.turn(link, follow(link, name: "f1")).count == 1)
  }

  @Test(arguments: LogKind.allCases) func forgetsAFollowerThatIsNotSeenForLong(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let gateway = try bench.link()
    let (stays, goes) = (try plugin(bench, incarnation: 50), try plugin(bench, incarnation: 51))
    try bench.turn([follow(stays, name: "stays"), follow(goes, EventTypes([.chatMessage]), name: "goes")])
    try bench.turn([bench.publish(gateway, "user:ann", id: "1", type: .chatMessage), .linkClosed(goes)])
    for _ in 0..<7 {
      bench.advance(24 * 3600 * 1000)
      // A jump of the wall clock holds deletion for a while; this is none.
      try bench.turn()
      bench.housekeep()
    }
    #expect(Array(bench.core.logFollowers.rows.keys) == ["stays"])
    #expect(try bench.log.followers().map(\.name) == ["stays"])
  }

  @Test func anOperatorAsksAndForgets() throws {
    let bench = try CoreBench()
    let gateway = try bench.link()
    let link = try plugin(bench)
    try bench.turn(link, follow(link, EventTypes([.notification])))
    try bench.turn(gateway, bench.publish(gateway, "user:ann", id: "1"))
    let row = StoredFollower(name: "webhook", types: EventTypes([.notification]), acknowledged: 0, seen: bench.now.wall)
    #expect(try bench.ask(.followers) == [.followers([row], head: bench.log.lastSequence, kept: 1)])
    #expect(try bench.ask(.forgetFollower("other"), .forgetFollower("webhook")) == [.unknown, .done])
    bench.advance(1000)
    bench.housekeep()
    #expect(bench.core.logFollowers.kept == 0)
    #expect(try bench.log.followers().isEmpty)
    #expect(try bench.turn([bench.publish(gateway, "user:ann", id: "2")])[link] == nil)
  }
}
