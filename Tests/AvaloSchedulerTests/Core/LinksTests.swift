import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// Links, what they watch, and what they are sent.
@Suite struct LinksTests {
  // MARK: Watching

  @Test(arguments: LogKind.allCases) func aWatchIsAnsweredWithTheHeadAtACommit(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    // The events of the same turn lie below the head that is told, whatever their order.
    let told = try bench.turn(
      link, bench.publish(link, "user:ann", id: "1", as: 1),
      bench.watch(link, [(7, "user:ann"), (8, "user:bob")], as: 2),
      bench.publish(link, "user:ann", id: "2", as: 3))
    #expect(
      told == [
        bench.published(1, "user:ann", 1), bench.published(3, "user:ann", 2),
        .watched(2, [bench.head(7, "user:ann", 2), bench.head(8, "user:bob", 0)]),
      ])
    #expect(
      try bench.turn(link, bench.publish(link, "user:ann", id: "3", as: 4))
        == [bench.published(4, "user:ann", 3), .delivered(#"{"n":1}"#, [.init(handle: 7, offset: 3)])])
  }

  @Test func eachWatchingLinkIsSentOneFrame() throws {
    let bench = try CoreBench()
    let first = try bench.link(incarnation: 1)
    let second = try bench.link(incarnation: 2)
    let third = try bench.link(incarnation: 3)
    // Two loops of a gateway watch for themselves.
    try bench.turn([
      bench.watch(first, [(0x100_0001, "user:ann"), (0x200_0005, "user:ann")]), bench.watch(second, [(1, "user:ann")]),
    ])
    let told = try bench.turn([bench.publish(third, "user:ann", as: 1)])
    #expect(
      told == [
        first: [.delivered(#"{"n":1}"#, [.init(handle: 0x100_0001, offset: 1), .init(handle: 0x200_0005, offset: 1)])],
        second: [.delivered(#"{"n":1}"#, [.init(handle: 1, offset: 1)])],
        third: [bench.published(1, "user:ann", 1)],
      ])
  }

  @Test func whatIsNotWatchedAnyMoreIsNotSent() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann"), (2, "user:bob")]))
    let told = try bench.turn(
      link, bench.publish(link, "user:ann", as: 1), .unwatch(link, correlation: 2, Unwatch(handles: [1, 9])),
      bench.publish(link, "user:bob", as: 3))
    #expect(told.contains(.unwatched(2, [1, 9])))
    #expect(told.last == .delivered(#"{"n":1}"#, [.init(handle: 2, offset: 1)]))
    #expect(bench.core.watchCount == 1)
    #expect(
      try bench.turn(link, bench.publish(link, "user:ann", id: "2", as: 4)) == [bench.published(4, "user:ann", 2)])
  }

  @Test func aHandleMayBeUsedForAnotherTopic() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann")]))
    try bench.turn(link, bench.watch(link, [(1, "user:bob")]))
    #expect(bench.core.watchCount == 1)
    try bench.turn(link, bench.publish(link, "user:ann"))
    #expect(
      try bench.turn(link, bench.publish(link, "user:bob", as: 1)).last
        == .delivered(#"{"n":1}"#, [.init(handle: 1, offset: 1)]))
  }

  // MARK: Links

  @Test func aNewerLinkOfTheSameLifeReplacesTheOlder() throws {
    let bench = try CoreBench()
    let old = try bench.link(incarnation: 5)
    try bench.turn(old, bench.watch(old, [(1, "user:ann")]), bench.attach(old, 1))
    let new = try bench.link(incarnation: 5)
    #expect(bench.cuts == [old])
    #expect(bench.core.watchCount == 0)
    #expect(bench.core.devices.sessionCount == 0)
    // What it still had on its way is done, but told to nobody.
    let told = try bench.turn([
      bench.publish(old, "user:ann"), bench.watch(old, [(2, "user:ann")]), bench.attach(old, 3),
      bench.watch(new, [(1, "user:ann")], as: 4),
    ])
    #expect(told == [new: [.watched(4, [bench.head(1, "user:ann", 1)])]])
    try bench.turn([.linkClosed(old)])
    #expect(bench.core.watchCount == 1)
  }

  @Test func anAnswerDoesNotReachTheNextLinkAtThePlace() throws {
    let bench = try CoreBench()
    let old = try bench.link(incarnation: 1)
    let gauge = LinkGauge()
    let new = LinkID(rawValue: 99)
    let told = try bench.turn([
      bench.publish(old, "user:ann"), .linkClosed(old),
      .linkOpened(new, instance: "gateway.1", incarnation: 2, gauge: gauge),
      bench.publish(new, "user:ann", id: "e2", as: 7),
    ])
    #expect(told == [new: [.accessLive(0), bench.published(7, "user:ann", 2)]])
  }

  @Test func whatIsAcknowledgedIsClampedAndNeverGoesBack() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann"), (2, "chat:c")]), bench.attach(link, 1))
    for id in 1...3 { try bench.turn(link, bench.publish(link, "user:ann", id: "\(id)")) }
    let other = Position(epoch: Epoch(generation: 1, nonce: 1), offset: 3)
    try bench.turn(
      link, bench.acknowledge(link, 1, 1, "user:ann", 2), bench.acknowledge(link, 1, 1, "user:ann", 1),
      .acknowledge(link, Acknowledge(entries: [.init(session: 1, handle: 1, position: other)])),
      bench.acknowledge(link, 1, 9, "user:ann", 3),  // no such handle
      bench.acknowledge(link, 8, 1, "user:ann", 3),  // no such session
      bench.acknowledge(link, 1, 2, "chat:c", 3))  // not subscribed
    func flush() {
      bench.advance(SchedulerLimits.flushMilliseconds)
      bench.housekeep()
    }
    flush()
    #expect(try bench.cursor("user:ann") == 2)
    #expect(try bench.cursor("chat:c") == nil)
    try bench.turn(link, bench.acknowledge(link, 1, 1, "user:ann", 900))
    flush()
    #expect(try bench.cursor("user:ann") == 3, "never beyond the head")
  }

  // MARK: Priority

  @Test func whatIsUrgentGoesFirstBetweenTopicsAndNotWithinOne() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann"), (2, "user:bob"), (3, "user:cem")]))
    let told = try bench.turn(
      link, bench.publish(link, "user:ann", #"{"a":1}"#, id: "1", priority: .low),
      bench.publish(link, "user:bob", #"{"b":1}"#, id: "1"),
      bench.publish(link, "user:cem", #"{"c":1}"#, id: "1", priority: .low),
      bench.publish(link, "user:cem", #"{"c":2}"#, id: "2", priority: .urgent))
    let delivered = told.compactMap { if case .delivered(let payload, _) = $0 { payload } else { nil } }
    #expect(delivered == [#"{"c":1}"#, #"{"c":2}"#, #"{"b":1}"#, #"{"a":1}"#])
  }

  // MARK: A link that is full

  private func stuck(_ bench: CoreBench) throws -> LinkID {
    let link = try bench.link(incarnation: 1)
    try bench.turn(link, bench.watch(link, [(1, "user:ann"), (2, "user:bob")]))
    bench.wait(in: link, bench.settings.linkBacklogBytesMax + 1)
    return link
  }

  @Test func aFullLinkBlocksNobodyAndHearsWhereItsTopicsAre() throws {
    let bench = try CoreBench()
    let link = try stuck(bench)
    let other = try bench.link(incarnation: 2)
    try bench.turn(other, bench.watch(other, [(1, "user:ann")]))
    let told = try bench.turn([
      bench.publish(link, "user:ann", as: 1), bench.publish(other, "user:ann", id: "e2", as: 2),
    ])
    // It is answered, but gets no events; the other gets them.
    #expect(told[link] == [bench.published(1, "user:ann", 1)])
    #expect(told[other]?.count == 3)
    #expect(bench.metrics.lagged.value == 1)
    bench.wait(in: link, SchedulerLimits.linkBacklogBytesDrained)
    let drained = try bench.turn([.linkDrained(link), bench.publish(other, "user:bob", as: 3)])
    #expect(
      drained[link] == [
        .lagged([bench.head(1, "user:ann", 2)]), .delivered(#"{"n":1}"#, [.init(handle: 2, offset: 1)]),
      ])
    #expect(try bench.turn([bench.publish(other, "user:ann", id: "e3")])[link]?.count == 1)
  }

  @Test func whatALinkNoLongerWatchesItDoesNotLagIn() throws {
    let bench = try CoreBench()
    let link = try stuck(bench)
    try bench.turn([bench.publish(link, "user:ann"), bench.publish(link, "user:bob")])
    try bench.turn(link, .unwatch(link, correlation: 1, Unwatch(handles: [1])))
    bench.wait(in: link, 0)
    #expect(try bench.turn(link) == [.lagged([bench.head(2, "user:bob", 1)])])
  }

  /// One turn's events may be more than a link takes: what is written is whole, the rest waits in the log.
  @Test func aTurnMayFillALink() throws {
    var settings = SchedulerSettings()
    settings.linkBacklogBytesMax = 200_000
    let bench = try CoreBench(.memory, settings)
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann")]))
    let big = #"{"a":"\#(String(repeating: "x", count: 60_000))"}"#
    let told = try bench.turn((1...10).map { bench.publish(link, "user:ann", big, id: "\($0)") })[link]!
    let delivered = told.compactMap { if case .delivered(_, let targets) = $0 { targets[0].offset } else { nil } }
    #expect(delivered == [1, 2, 3, 4])
    #expect(try bench.turn(link) == [.lagged([bench.head(1, "user:ann", 10)])])
  }

  // MARK: A log that was rewound

  @Test(arguments: LogKind.allCases) func aPositionAboveTheHeadProvesARewind(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link(incarnation: 1)
    try bench.turn(link, bench.publish(link, "user:ann"), bench.watch(link, [(1, "user:ann"), (2, "user:bob")]))
    let before = bench.log.identity
    let ahead = bench.position("user:ann", 2)
    let other = try bench.link(incarnation: 2)
    let told = try bench.turn([bench.watch(other, [(1, "user:ann")], at: ahead, as: 5)])
    #expect(bench.log.identity.generation > before.generation)
    #expect(told[other] == [.watched(5, [bench.head(1, "user:ann", 1)])])
    guard case .lagged(let heads)? = told[link]?.first else {
      Issue.record("whoever watches hears of the new epoch")
      return
    }
    #expect(
      heads.sorted { $0.handle < $1.handle } == [bench.head(1, "user:ann", 1), bench.head(2, "user:bob", 0)])
    #expect(bench.core.generation == bench.log.identity.generation)
  }

  @Test func aPositionOfAnotherEpochProvesNothing() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    let generation = bench.core.generation
    let foreign = Position(epoch: Epoch(generation: 1, nonce: 1), offset: 900)
    try bench.turn(link, bench.watch(link, [(1, "user:ann")], at: foreign))
    #expect(bench.core.generation == generation)
  }
}
