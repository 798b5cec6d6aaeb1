import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// What a device's subscriptions make the log keep.
@Suite struct CursorTests {
  @Test(arguments: LogKind.allCases) func aTopicHasNoRowBeforeItsFirstEvent(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    var link = try bench.link()
    let before = try bench.log.statistics().topics
    try bench.turn(link, bench.attach(link, 1, topics: ["user:ann"]))
    for name in 0..<50 { try bench.turn(link, bench.cursors(link, 1, ["feed:\(name)"])) }
    #expect(try bench.log.statistics().topics == before)
    try bench.turn(link, .detach(link, Detach(sessions: [1])))
    // What arrives while the device is away is not lost all the same.
    for id in ["1", "2"] { try bench.turn(link, bench.publish(link, "feed:7", id: id)) }
    if engine == .sqlite {
      try bench.crash()
      link = try bench.link()
    }
    let told = try bench.turn(
      link, bench.watch(link, [(1, "feed:7")]), bench.attach(link, 2, topics: ["feed:7", "feed:8"], as: 2))
    #expect(told.first == .attached(2, [bench.position("feed:7", 0), bench.position("feed:8", 0)]))
    // Once it has moved, it lies under the topic's own number and nowhere else.
    try bench.turn(link, bench.acknowledge(link, 2, 1, "feed:7", 1))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try numbers(bench).count == 51)
    #expect(try bench.cursor("feed:7") == 1)
    #expect(try !numbers(bench).contains(bench.log.identity.awaited("feed:7")))
    #expect(try bench.log.statistics().topics == before + 1)
  }

  @Test func whatOneOfTwoSessionsAloneHadIsKeptWithItsEnd() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(
      link, bench.watch(link, [(1, "feed:a")]), bench.attach(link, 1, topics: ["user:ann"]),
      bench.attach(link, 2, topics: ["feed:a"]))
    try bench.turn(link, bench.publish(link, "feed:a"))
    try bench.turn(link, bench.acknowledge(link, 2, 1, "feed:a", 1), .detach(link, Detach(sessions: [2])))
    #expect(try start(bench, link, "feed:a") == bench.position("feed:a", 1))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try bench.cursor("feed:a") == 1)
  }

  @Test func aCursorMovesUnderItsTopicsNumberWhenItsDeviceHasLeftToo() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "feed:a")]), bench.attach(link, 1, topics: ["feed:a"]))
    try bench.turn(link, bench.publish(link, "feed:a"))
    try bench.turn(link, bench.acknowledge(link, 1, 1, "feed:a", 1), .detach(link, Detach(sessions: [1])))
    // Before it is written, and after.
    #expect(try start(bench, link, "feed:a") == bench.position("feed:a", 1))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try start(bench, link, "feed:a") == bench.position("feed:a", 1))
    #expect(try numbers(bench) == [bench.log.topic(named: "feed:a")!.id])
  }

  @Test(arguments: LogKind.allCases) func theCursorUnusedForLongestMakesRoom(_ engine: LogKind) throws {
    let bench = try CoreBench(engine, CursorTests.three)
    let link = try bench.link()
    for name in ["feed:a", "feed:b", "feed:c"] {
      try bench.turn(link, bench.attach(link, 1, topics: [name]), .detach(link, Detach(sessions: [1])))
      bench.advance(1)
    }
    // A day later one of them is used: written with what moves.
    bench.advance(SchedulerLimits.cursorUsedMilliseconds)
    try bench.turn(link, bench.attach(link, 1, topics: ["feed:a"]), .detach(link, Detach(sessions: [1])))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    try bench.turn(link, bench.attach(link, 1, topics: ["feed:d"]))
    #expect(try numbers(bench).count == 3)
    #expect(try bench.cursor("feed:b") == nil)
    #expect(try bench.cursor("feed:a") == 0)
    #expect(bench.metrics.cursorsForgotten.with("bound").value == 1)
  }

  /// None that is open or asked for makes room: the topic is denied, and the others are not.
  @Test func aDeviceThatHasTooManyOpenIsToldSo() throws {
    let bench = try CoreBench(.memory, CursorTests.three)
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1, topics: ["feed:a", "feed:b"]))
    let told = try bench.turn(link, bench.attach(link, 2, topics: ["feed:c", "feed:d", "feed:a"], as: 2))
    let granted: [Attached.Answer] = [
      .granted(bench.position("feed:c", 0), since: 0), .denied(.resourceExhausted),
      .granted(bench.position("feed:a", 0), since: 0),
    ]
    #expect(told == [.answered(2, granted)])
    #expect(try numbers(bench).count == 3)
    // Who is no device's has none that are kept, and so not too many.
    let names = (0..<9).map { "feed:\($0)" }
    #expect(
      try bench.turn(link, bench.attach(link, 3, device: "", topics: names, as: 3))
        == [.attached(3, names.map { bench.position($0, 0) })])
  }

  @Test(arguments: LogKind.allCases) func whatADeviceDidNotUseForAMonthIsForgottenWhenItComesIn(_ engine: LogKind)
    throws
  {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(
      link, bench.attach(link, 1, topics: ["user:ann", "feed:a"]), .detach(link, Detach(sessions: [1])))
    for _ in 0..<31 {
      bench.advance(24 * 3600 * 1000)
      try bench.turn(link, bench.attach(link, 1), .detach(link, Detach(sessions: [1])))
      bench.advance(SchedulerLimits.flushMilliseconds)
      bench.housekeep()
    }
    #expect(try numbers(bench) == [bench.log.identity.awaited("user:ann")])
    #expect(bench.metrics.cursorsForgotten.with("unused").value == 1)
  }

  /// Quiet is not unused: who stays connected for longer than an unseen device is remembered finds what comes right after.
  @Test(arguments: LogKind.allCases) func whatWasSubscribedToAllAlongIsKeptHoweverQuiet(_ engine: LogKind) throws {
    for unseen: Int64 in [SchedulerSettings().deviceUnseenMilliseconds, 3600 * 1000] {
      var settings = SchedulerSettings()
      settings.deviceUnseenMilliseconds = unseen
      let bench = try CoreBench(engine, settings)
      let link = try bench.link()
      try bench.turn(link, bench.attach(link, 1, topics: ["user:ann", "feed:a", "feed:b"]))
      for _ in 0..<10 {
        bench.advance(unseen / 10)
        bench.housekeep()
      }
      // One is left, the others end with the connection; the device asks for them again after it has come in.
      try bench.turn(link, leave(link, 1, "feed:b"), .detach(link, Detach(sessions: [1])))
      try bench.turn(link, bench.publish(link, "feed:a", id: "1"), bench.publish(link, "feed:b", id: "2"))
      try bench.turn(link, bench.attach(link, 2))
      #expect(
        try bench.turn(link, bench.cursors(link, 2, ["feed:a", "feed:b"], as: 3))
          == [.attached(3, [bench.position("feed:a", 0), bench.position("feed:b", 0)])])
      #expect(bench.metrics.cursorsForgotten.with("unused").value == 0)
    }
  }

  /// Without any housekeeping in between: ended, left, or asked for while it comes in.
  @Test func anEndNotesTheUseAndWhatIsAskedForIsSpared() throws {
    let bench = try CoreBench(.memory)
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1, topics: ["feed:a", "feed:b"]))
    bench.advance(bench.settings.deviceUnseenMilliseconds)
    try bench.turn(link, leave(link, 1, "feed:b"), .detach(link, Detach(sessions: [1])))
    try bench.turn(link, bench.publish(link, "feed:a", id: "1"), bench.publish(link, "feed:b", id: "2"))
    try bench.turn(link, bench.attach(link, 2), bench.cursors(link, 2, ["feed:b"], as: 3))
    #expect(try start(bench, link, "feed:b") == bench.position("feed:b", 0))
    // Away for as long, it asks for one of them at once.
    try bench.turn(link, .detach(link, Detach(sessions: [2])))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    bench.advance(bench.settings.deviceUnseenMilliseconds)
    #expect(try start(bench, link, "feed:a") == bench.position("feed:a", 0))
    #expect(bench.metrics.cursorsForgotten.with("unused").value == 1)
  }

  /// A crash has no end of sessions: what was noted meanwhile is what is left.
  @Test func aCrashDoesNotForgetThatItWasUsed() throws {
    let bench = try CoreBench(.sqlite)
    var link = try bench.link()
    try bench.turn(link, bench.attach(link, 1, topics: ["feed:a"]))
    for _ in 0..<31 {
      bench.advance(24 * 3600 * 1000)
      bench.housekeep()
      bench.advance(SchedulerLimits.flushMilliseconds)
      bench.housekeep()
    }
    try bench.crash()
    link = try bench.link()
    try bench.turn(link, bench.publish(link, "feed:a", id: "1"), bench.attach(link, 2))
    #expect(
      try bench.turn(link, bench.cursors(link, 2, ["feed:a"], as: 3)) == [.attached(3, [bench.position("feed:a", 0)])])
  }

  /// The inbox is what a device was promised: it gives way to nothing, and is never one too many.
  @Test(arguments: LogKind.allCases) func theInboxIsSpared(_ engine: LogKind) throws {
    let bench = try CoreBench(engine, CursorTests.three)
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1, topics: ["user:ann"]), .detach(link, Detach(sessions: [1])))
    bench.advance(1)
    for number in 0..<9 {
      try bench.turn(link, bench.attach(link, 1, topics: ["feed:\(number)"]), .detach(link, Detach(sessions: [1])))
    }
    try bench.turn(link, bench.publish(link, "user:ann", id: "1"))
    #expect(try start(bench, link, "user:ann") == bench.position("user:ann", 0))
    // Also when it was only its inbox that it did not use for long.
    for _ in 0..<31 {
      bench.advance(24 * 3600 * 1000)
      try bench.turn(link, bench.attach(link, 1, topics: ["feed:8"]), .detach(link, Detach(sessions: [1])))
      bench.advance(SchedulerLimits.flushMilliseconds)
      bench.housekeep()
    }
    #expect(try bench.cursor("user:ann") == 0)
    // A device full of others has room for it.
    let bob = ["feed:1", "feed:2", "feed:3", "user:bob"]
    #expect(
      try bench.turn(link, bench.attach(link, 2, user: "bob", topics: bob, as: 2))
        == [.attached(2, bob.map { bench.position($0, 0) })])
  }

  // MARK: Leaving

  private func leave(_ link: LinkID, _ session: UInt64, _ topics: String...) -> Command {
    .leave(link, Leave(session: session, topics: topics.map { Topic($0)! }))
  }

  /// One connection that goes from chat to chat has one open at a time, however long it lives.
  @Test func aSessionHasOnlyWhatItIsSubscribedTo() throws {
    let bench = try CoreBench(.memory, CursorTests.three)
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1))
    for number in 0..<9 {
      let told = try bench.turn(link, bench.cursors(link, 1, ["feed:\(number)"], as: 2))
      #expect(told == [.attached(2, [bench.position("feed:\(number)", 0)])])
      try bench.turn(link, leave(link, 1, "feed:\(number)", "feed:unknown"))
      bench.advance(1)
    }
    #expect(try numbers(bench).count == 3)
    #expect(bench.core.topics[bench.core.topics.place(of: "feed:3")!].holds == 0)
  }

  @Test(arguments: LogKind.allCases) func whatWasAcknowledgedBeforeLeavingIsKept(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "feed:a")]), bench.attach(link, 1, topics: ["user:ann", "feed:a"]))
    for id in ["1", "2", "3"] { try bench.turn(link, bench.publish(link, "feed:a", id: id)) }
    // Subscribed again in the same breath, it goes on there, and what it acknowledges counts.
    let told = try bench.turn(
      link, bench.acknowledge(link, 1, 1, "feed:a", 2), leave(link, 1, "feed:a"),
      bench.cursors(link, 1, ["feed:a"], as: 3))
    #expect(told == [.attached(3, [bench.position("feed:a", 2)])])
    try bench.turn(link, bench.acknowledge(link, 1, 1, "feed:a", 3))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try bench.cursor("feed:a") == 3)
    // Of two sessions the one that stays says where the device is.
    try bench.turn(link, bench.attach(link, 2, topics: ["feed:a"]), bench.publish(link, "feed:a", id: "4"))
    try bench.turn(link, bench.acknowledge(link, 1, 1, "feed:a", 4), leave(link, 2, "feed:a"), leave(link, 7, "feed:a"))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try bench.cursor("feed:a") == 4)
  }

  // MARK: By publishing

  @Test func whoMayNotPublishMakesNoTopic() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    let before = try bench.log.statistics().topics
    let publish = Publish(
      owner: "user:ann", topic: Topic("chat:made-up")!, contentHash: 1, deliverAtMilliseconds: 0,
      record: CoreBench.record("{}", id: "1"),
      user: Publish.Publisher(TokenName(user: "ann", tokenID: "", issuedAtMilliseconds: 0), mustBeMember: true))
    #expect(try bench.turn(link, .publish(link, correlation: 1, publish)) == [.failed(1, .permissionDenied)])
    #expect(try bench.log.statistics().topics == before)
  }

  @Test func aMessageOfAnotherChatMakesNoTopic() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    func message(_ topic: String, _ chat: String, _ id: String) -> Command {
      let fields = EventFields(
        type: .chatMessage, timestampMilliseconds: CoreBench.start, acceptedMicroseconds: CoreBench.start * 1000,
        eventID: id, chatID: chat, payload: Array("{}".utf8))
      return .publish(
        link, correlation: bench.correlation(),
        Publish(owner: "shop", topic: Topic(topic)!, contentHash: 1, record: fields.record()))
    }
    try bench.turn(link, message("chat:a", "b", "1"), message("feed:f", "c", "2"), message("user:ann", "d", "3"))
    #expect(try bench.log.topic(named: "chat:b") == nil)
    #expect(try bench.log.topic(named: "chat:c") == nil)
    // In an inbox it is a message of its chat, which may have no event of its own.
    #expect(try bench.log.topic(named: "chat:d")?.head == 0)
  }

  // MARK: -

  private static let three = {
    var settings = SchedulerSettings()
    settings.cursorsPerDeviceMax = 3
    return settings
  }()

  /// Under which numbers the phone has cursors.
  private func numbers(_ bench: CoreBench) throws -> [TopicID] {
    let phone = try #require(try bench.log.device(user: "ann", device: "phone"))
    return try bench.log.cursors(of: phone.id).map(\.topic)
  }

  private func start(_ bench: CoreBench, _ link: LinkID, _ topic: String) throws -> Position? {
    let told = try bench.turn(link, bench.attach(link, 7, topics: [topic], as: 7))
    try bench.turn(link, .detach(link, Detach(sessions: [7])))
    guard case .attached(7, let positions)? = told.first else { return nil }
    return positions.first
  }
}
