import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// A log that fails: whoever asked is answered, what was told holds, and it recovers by itself.
@Suite struct FailureTests {
  @Test(arguments: LogKind.allCases) func aFailedCommitIsAnsweredAndLeavesNothing(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann"))
    bench.log.failOnce(at: .commit)
    let told = try bench.turn(
      link, bench.publish(link, "user:ann", id: "e2", as: 2), bench.broadcast(link, to: ["ann", "bob"], as: 3),
      bench.attach(link, 1, user: "cem", as: 4))
    #expect(told == [.failed(2, .unavailable), .failed(3, .unavailable), .failed(4, .unavailable)])
    #expect(try bench.events("user:ann").count == 1)
    #expect(try bench.log.device(user: "cem", device: "phone") == nil)
    #expect(bench.core.devices.sessionCount == 0)
    #expect(bench.metrics.failedCommits.value == 1)
    #expect(bench.metrics.healthy.value == 0)
    // Refused until it is tried again, then the offset that failed is used.
    bench.advance(SchedulerLimits.retryMilliseconds - 1)
    #expect(
      try bench.turn(link, bench.publish(link, "user:ann", id: "e2", as: 5)) == [.failed(5, .unavailable)])
    #expect(bench.core.deadline == bench.now.monotonic + 1)
    bench.advance(1)
    #expect(
      try bench.turn(link, bench.publish(link, "user:ann", id: "e2", as: 6)) == [bench.published(6, "user:ann", 2)])
    #expect(bench.metrics.healthy.value == 1)
  }

  /// The commit happened though it said that it had not: the second attempt is a duplicate, and whoever watches hears
  /// where the topic is.
  @Test(arguments: LogKind.allCases) func aCommitThatHappenedNeverthelessIsFoundOut(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann")]))
    bench.log.keepsFailedCommits = true
    bench.log.failOnce(at: .commit)
    #expect(try bench.turn(link, bench.publish(link, "user:ann", as: 2)) == [.failed(2, .unavailable)])
    bench.advance(SchedulerLimits.retryMilliseconds)
    let told = try bench.turn(link, bench.publish(link, "user:ann", as: 3))
    #expect(told == [bench.published(3, "user:ann", 1, duplicate: true), .lagged([bench.head(1, "user:ann", 1)])])
  }

  /// Everything behind the command that failed is done or answered too, in the same turn.
  @Test(arguments: LogKind.allCases) func whatIsBehindAFailureIsDoneOrAnswered(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link(incarnation: 1)
    let other = try bench.link(incarnation: 2)
    let gone = try bench.link(incarnation: 3)
    try bench.turn(link, bench.watch(link, [(9, "user:old")]), bench.attach(link, 1))
    try bench.turn(link, bench.publish(link, "user:old"), bench.attach(link, 2, user: "old", device: "desk"))
    try bench.turn(link, .detach(link, Detach(sessions: [2])))
    bench.log.failOnce(at: .append)
    let late = LinkID(rawValue: 77)
    let answers = Answers()
    let told = try bench.turn([
      bench.publish(link, "user:ann", as: 1),
      bench.publish(other, "user:ann", id: "e2", as: 2),
      bench.broadcast(link, to: ["ann"], as: 3),
      bench.attach(link, 3, user: "new", as: 4),
      bench.attach(link, 4, user: "old", device: "desk", as: 5),
      bench.watch(link, [(10, "user:old")], as: 6),
      .unwatch(link, correlation: 7, Unwatch(handles: [9])),
      .detach(link, Detach(sessions: [1])),
      .linkClosed(gone),
      .linkOpened(late, instance: "late", incarnation: 4, gauge: LinkGauge()),
      bench.watch(late, [(1, "user:old")], as: 8),
      answers.ask(.log),
    ])
    // Who is known may come in: that reads. Nobody else: that would write.
    #expect(
      Set(told[link]!.map(\.summary))
        == ["failed 1", "failed 3", "failed 4", "attached 5", "watched 6", "unwatched 7"])
    #expect(told[other] == [.failed(2, .unavailable)])
    #expect(told[late] == [.accessLive(0), .watched(8, [bench.head(1, "user:old", 1)])])
    #expect(bench.core.place(of: gone) == -1)
    #expect(bench.core.devices.sessionCount == 1)
    #expect(answers.all.count == 1)
    #expect(bench.core.watchCount == 2)
  }

  @Test(arguments: [FaultyLog.Step.begin, .topic, .key, .createTopic, .append, .commit])
  func everyPublishOfATurnIsAnsweredWhereverItFails(_ step: FaultyLog.Step) throws {
    for passes in 0..<4 {
      let bench = try CoreBench(.sqlite)
      let link = try bench.link()
      bench.log.failOnce(at: step, after: passes)
      let told = try bench.turn((1...6).map { bench.publish(link, "user:\($0)", id: "\($0)", as: UInt32($0)) })
      #expect(told[link]?.count == 6, "\(step) after \(passes)")
      let accepted = told[link]!.filter { if case .published = $0 { true } else { false } }
      for number in 1...6 {
        #expect(try bench.events("user:\(number)").count == (accepted.isEmpty ? 0 : 1), "\(step) after \(passes)")
      }
      // A command is answered, at most once, with the truth: all or none of a transaction.
      #expect(accepted.isEmpty || accepted.count == 6)
    }
  }

  // MARK: Watching while it fails

  @Test func aWatchThatCannotBeAnsweredIsAnsweredLater() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann"))
    bench.log.fail(at: [.commit, .topic, .reopen])
    #expect(try bench.turn(link, bench.publish(link, "user:ann", id: "2", as: 2)) == [.failed(2, .unavailable)])
    #expect(try bench.turn(link, bench.watch(link, [(1, "user:ann")], as: 3)).isEmpty)
    let closed = try bench.link(incarnation: 2)
    try bench.turn(closed, bench.watch(closed, [(1, "user:ann")]))
    try bench.turn([.linkClosed(closed)])
    bench.advance(SchedulerLimits.retryMilliseconds)
    #expect(try bench.turn(link).isEmpty)
    bench.log.recover()
    bench.advance(SchedulerLimits.retryMilliseconds)
    #expect(try bench.turn(link).contains(.watched(3, [bench.head(1, "user:ann", 1)])))
    #expect(bench.core.watchCount == 1)
    #expect(
      try bench.turn(link, bench.publish(link, "user:ann", id: "2", as: 4)).last
        == .delivered(#"{"n":1}"#, [.init(handle: 1, offset: 2)]))
  }

  @Test func sessionsComeAndGoWhileItFails() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "user:ann")]), bench.attach(link, 1))
    for id in 1...3 { try bench.turn(link, bench.publish(link, "user:ann", id: "\(id)")) }
    bench.log.fail(at: [.commit, .reopen])
    try bench.turn(link, bench.publish(link, "user:ann", id: "4"))
    // Acknowledgements count at once and are written when it is possible.
    try bench.turn(link, bench.acknowledge(link, 1, 1, "user:ann", 2), .detach(link, Detach(sessions: [1])))
    bench.housekeep()
    #expect(try bench.cursor("user:ann") == 0)
    bench.log.recover()
    bench.advance(SchedulerLimits.retryMilliseconds)
    try bench.turn()
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try bench.cursor("user:ann") == 2)
  }

  @Test func housekeepingThatFailsIsDoneAgain() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(
      link, bench.watch(link, [(1, "user:ann")]), bench.attach(link, 1), bench.publish(link, "user:ann", ttl: 1))
    try bench.turn(link, bench.acknowledge(link, 1, 1, "user:ann", 1))
    for step in [FaultyLog.Step.putCursor, .expire, .maintain] {
      bench.log.failOnce(at: step)
      bench.advance(2000)
      bench.housekeep()
      #expect(bench.metrics.healthy.value == 0, "\(step)")
      bench.advance(SchedulerLimits.retryMilliseconds)
      try bench.turn()
      #expect(bench.metrics.healthy.value == 1, "\(step)")
    }
    bench.advance(2000)
    bench.housekeep()
    #expect(try bench.cursor("user:ann") == 1)
    #expect(bench.metrics.expired[Int(EventType.notification.rawValue)]?.value == 1)
  }

  @Test func aRewindThatCannotBeMintedIsTriedAgain() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann"))
    let generation = bench.core.generation
    bench.log.fail(at: [.mint, .reopen])
    let ahead = bench.position("user:ann", 9)
    #expect(try bench.turn(link, bench.watch(link, [(1, "user:ann")], at: ahead, as: 2)).isEmpty)
    bench.log.recover()
    bench.advance(SchedulerLimits.retryMilliseconds)
    let told = try bench.turn(link)
    #expect(bench.core.generation > generation)
    #expect(told.first == .watched(2, [bench.head(1, "user:ann", 1)]))
  }

  @Test func questionsAreAnsweredWhileItFails() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann"))
    bench.log.fail(at: Set(FaultyLog.Step.allCases))
    try bench.turn(link, bench.publish(link, "user:ann", id: "2"))
    let answers = try bench.ask(.topic("user:ann"), .devices(user: "ann"), .trustClock)
    #expect(answers.count == 3)
    guard case .failed? = answers.first else {
      Issue.record("\(answers)")
      return
    }
  }
}

extension Told {
  /// What kind of answer to which request.
  var summary: String {
    switch self {
    case .published(let request, _): "published \(request)"
    case .broadcasted(let request, _): "broadcasted \(request)"
    case .attached(let request, _): "attached \(request)"
    case .watched(let request, _): "watched \(request)"
    case .unwatched(let request, _): "unwatched \(request)"
    case .failed(let request, _): "failed \(request)"
    case .page(let request, _, _): "page \(request)"
    case .markedRead(let request, _): "marked \(request)"
    case .readState(let request, _): "reads \(request)"
    case .starts(let request, _): "starts \(request)"
    case .polled(let request, _): "polled \(request)"
    case .latest: "latest"
    case .lagged: "lagged"
    case .delivered: "delivered"
    case .answered(let request, _): "answered \(request)"
    case .changed: "changed"
    case .accessLive: "access live"
    case .membersChanged(let request, _): "members changed \(request)"
    case .memberList(let request, _): "members \(request)"
    case .memberships(let request, _): "memberships \(request)"
    case .revoked(let request): "revoked \(request)"
    case .erased(let request, _): "erased \(request)"
    case .begun(let request, _): "begun \(request)"
    case .partTaken(let request, _): "part taken \(request)"
    case .broadcastStatus(let request, _): "status \(request)"
    case .delayedCancelled(let request, _): "cancelled \(request)"
    case .membershipsOf(let request, _): "memberships of \(request)"
    case .leaseLost: "lease lost"
    case .latestAt(let request, _): "latest at \(request)"
    case .following(let request, _): "following \(request)"
    case .grew: "grew"
    case .followedErased(let erased): "erased \(erased.topic)"
    }
  }
}
