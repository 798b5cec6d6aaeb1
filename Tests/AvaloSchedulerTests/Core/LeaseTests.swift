import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// Polls and streams of one connection at several gateways: one of them stands.
@Suite struct LeaseTests {
  private func lease(
    _ link: LinkID, _ session: UInt64, began: Int64, connection: String = "c1", as correlation: UInt32 = 0
  ) -> Command {
    .lease(
      link, correlation: correlation,
      Lease(
        session: session, place: 7, user: "ann", connection: connection, use: .poll, beganMicroseconds: began))
  }

  /// The poll at the first gateway was given up by its client; what it answers last may never arrive, and is not taken
  /// as processed.
  @Test(arguments: LogKind.allCases) func aPollAtAnotherGatewayTakesThePlace(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let (first, second) = (try bench.link(incarnation: 1), try bench.link(incarnation: 2))
    try bench.turn((1...3).map { bench.publish(first, "user:ann", id: "e\($0)") })
    try bench.turn(
      first, lease(first, 1, began: 10, as: 5 << 24), bench.attach(first, 1),
      bench.watch(first, [(1, "user:ann")]))
    let told = try bench.turn([lease(second, 1, began: 20), bench.attach(second, 1, as: 9)])
    #expect(told[first] == [.leaseLost(5 << 24, LeaseLost(session: 1, place: 7))])
    #expect(told[second] == [.attached(9, [bench.position("user:ann", 0)])])
    try bench.turn(first, bench.acknowledge(first, 1, 1, "user:ann", 3))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try bench.cursor("user:ann") == 0)
    #expect(bench.metrics.leasesLost.value == 1)
  }

  /// After a new link gateways name their sessions in any order: the later one stands still.
  @Test func theOrderOfNamingDoesNotMatter() throws {
    let bench = try CoreBench()
    let (first, second) = (try bench.link(incarnation: 1), try bench.link(incarnation: 2))
    try bench.turn(second, lease(second, 1, began: 20), bench.attach(second, 1))
    let told = try bench.turn(first, lease(first, 1, began: 10, as: 4), bench.attach(first, 1, as: 5))
    #expect(told.contains(.leaseLost(4, LeaseLost(session: 1, place: 7))))
  }

  @Test func aLinkThatEndedHoldsNothing() throws {
    let bench = try CoreBench()
    let (first, second) = (try bench.link(incarnation: 1), try bench.link(incarnation: 2))
    try bench.turn(first, lease(first, 1, began: 20))
    try bench.turn([.linkClosed(first)])
    #expect(try bench.turn(second, lease(second, 1, began: 10)).isEmpty)
    #expect(bench.metrics.leasesLost.value == 0)
  }
}
