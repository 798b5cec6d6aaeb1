import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// Taking back what is held for later.
@Suite struct DelayedTests {
  private func cancel(
    _ link: LinkID, _ id: String = "e1", owner: String = "shop", topic: String = "", as correlation: UInt32
  ) -> Command {
    .broadcasts(
      link, correlation: correlation, .cancelDelayed(CancelDelayed(owner: owner, eventID: id, topic: topic)))
  }

  private func cancelled(_ correlation: UInt32, _ topic: String = "user:ann", duplicate: Bool = false) -> Told {
    .delayedCancelled(correlation, DelayedCancelled(topic: Topic(topic)!, duplicate: duplicate))
  }

  private func held(_ bench: CoreBench, _ link: LinkID, _ topic: String = "user:ann", id: String = "e1") -> Command {
    bench.publish(link, topic, id: id, deliverAt: bench.now.wall + 10_000)
  }

  private func pass(_ bench: CoreBench) throws {
    bench.advance(10_001)
    bench.housekeep()
    try bench.turn([])
  }

  @Test(arguments: LogKind.allCases) func whatIsTakenBackIsNeverDelivered(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, held(bench, link), held(bench, link, "user:bob", id: "e2"))
    #expect(try bench.turn(link, cancel(link, as: 3)) == [cancelled(3)])
    #expect(try bench.log.delayedCount() == 1)
    // Asking again does no harm.
    #expect(try bench.turn(link, cancel(link, as: 4)) == [cancelled(4, duplicate: true)])
    try pass(bench)
    #expect(try bench.events("user:ann").isEmpty && bench.events("user:bob").count == 1)
    #expect(bench.metrics.cancelled.value == 1)
  }

  @Test(arguments: LogKind.allCases) func whatWasDeliveredCannotBeTakenBack(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, held(bench, link))
    try pass(bench)
    #expect(try bench.turn(link, cancel(link, as: 3)) == [.failed(3, .failedPrecondition)])
    #expect(try bench.turn(link, cancel(link, topic: "user:ann", as: 4)) == [.failed(4, .failedPrecondition)])
    #expect(try bench.events("user:ann").count == 1)
  }

  @Test func whatNobodyHeldIsNotFound() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, held(bench, link), bench.publish(link, "user:ann", id: "now"))
    #expect(
      try bench.turn(
        link, cancel(link, "e9", as: 1), cancel(link, owner: "bank", as: 2), cancel(link, topic: "user:bob", as: 3),
        cancel(link, "now", as: 4))
        == [.failed(1, .notFound), .failed(2, .notFound), .failed(3, .notFound), .failed(4, .notFound)])
    #expect(try bench.log.delayedCount() == 1)
  }

  /// In the turn in which it is due, the one who asks comes first: the transaction decides, and both agree.
  @Test func cancelAndFireAreOneDecision() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, held(bench, link))
    bench.housekeep()
    bench.advance(10_001)
    #expect(try bench.turn(link, cancel(link, as: 3)) == [cancelled(3)])
    try bench.turn([])
    #expect(try bench.events("user:ann").isEmpty)
  }

  @Test func isRememberedOverACrash() throws {
    let bench = try CoreBench(.sqlite)
    var link = try bench.link()
    try bench.turn(link, held(bench, link), held(bench, link, id: "e2"))
    try bench.turn(link, cancel(link, as: 3))
    try bench.crash()
    link = try bench.link()
    #expect(try bench.turn(link, cancel(link, as: 4)) == [cancelled(4, duplicate: true)])
    #expect(try bench.turn(link, cancel(link, "e2", as: 5)) == [cancelled(5)])
    try pass(bench)
    #expect(try bench.events("user:ann").isEmpty)
  }

  @Test func aFailedCommitTookNothingBack() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, held(bench, link))
    bench.log.failOnce(at: .commit)
    #expect(try bench.turn(link, cancel(link, as: 3)) == [.failed(3, .unavailable)])
    try pass(bench)
    #expect(try bench.events("user:ann").count == 1)
  }

  /// The same id held in two topics: each by its topic; without one, where it was held last.
  @Test func theTopicChoosesAmongSeveral() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, held(bench, link), held(bench, link, "user:bob"))
    #expect(try bench.turn(link, cancel(link, topic: "user:ann", as: 1)) == [cancelled(1)])
    #expect(try bench.turn(link, cancel(link, topic: "user:bob", as: 2)) == [cancelled(2, "user:bob")])
  }

  /// Its key goes with it: the id may be used for another event.
  @Test(arguments: LogKind.allCases) func theIdIsFreeAgain(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, held(bench, link))
    try bench.turn(link, cancel(link, as: 3))
    let told = try bench.turn(link, bench.publish(link, "user:ann", #"{"n":2}"#, as: 4))
    #expect(told == [bench.published(4, "user:ann", 1)])
  }
}
