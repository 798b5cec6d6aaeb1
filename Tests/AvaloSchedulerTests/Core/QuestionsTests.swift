import AvaloCore
import AvaloMetrics
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

@Suite struct QuestionsTests {
  @Test(arguments: LogKind.allCases) func whatPeopleAsk(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(
      link, bench.watch(link, [(1, "user:ann")]), bench.attach(link, 1), bench.publish(link, "user:ann"))
    let answers = try bench.ask(.topic("user:ann"), .topic("user:none"), .log, .devices(user: "ann"))
    let size = CoreBench.record(#"{"n":1}"#, id: "e1").count
    #expect(
      answers[0]
        == .topic(
          TopicReport(
            name: "user:ann", epoch: bench.log.identity.epoch(of: "user:ann"), head: 1, floor: 0, watchers: 1,
            bytes: size)))
    #expect(answers[1] == .unknown)
    guard case .log(let report) = answers[2], case .devices(let rows, let open) = answers[3] else {
      Issue.record("\(answers)")
      return
    }
    #expect(report.generation == bench.core.generation && report.isHealthy && report.watches == 1)
    #expect(report.links == 1 && report.sessions == 1 && report.durability == bench.log.durability.wireName)
    #expect(rows.map(\.device) == ["phone"] && open == rows.map(\.id))
  }

  private func heads(_ answers: [Answer]) -> [UInt64?] {
    answers.map { if case .topic(let report) = $0 { report.head } else { nil } }
  }

  @Test func whoFollowsATopicIsAnsweredWhenThereIsMore() throws {
    let bench = try CoreBench(.memory)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann"))
    let (ready, waiting, new) = (Answers(), Answers(), Answers())
    try bench.turn([ready.ask(.follow("user:ann", after: 0, milliseconds: 1000))])
    #expect(heads(ready.all) == [1], "at once")
    try bench.turn([
      waiting.ask(.follow("user:ann", after: 1, milliseconds: 1000)),
      new.ask(.follow("user:bob", after: 0, milliseconds: 1000)),
    ])
    try bench.turn(link, bench.publish(link, "user:eve", id: "e3"))
    #expect(waiting.all.isEmpty && new.all.isEmpty)
    try bench.turn(link, bench.publish(link, "user:ann", id: "e2"))
    #expect(heads(waiting.all) == [2] && new.all.isEmpty)
    try bench.turn(link, bench.publish(link, "user:bob", id: "e4"))
    #expect(heads(new.all) == [1])
  }

  @Test func whoFollowsIsAnsweredWhenTimeIsUpAndWhenItStops() throws {
    let bench = try CoreBench(.memory)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "user:ann"))
    let (short, long) = (Answers(), Answers())
    try bench.turn([
      short.ask(.follow("user:ann", after: 1, milliseconds: 1000)),
      long.ask(.follow("user:ann", after: 1, milliseconds: 9000)),
    ])
    bench.now.monotonic += 1000
    try bench.turn()
    #expect(heads(short.all) == [1] && long.all.isEmpty)
    try bench.core.stop()
    #expect(long.all == [.failed("the scheduler is stopping")])
  }

  @Test func onlySoManyFollow() throws {
    let bench = try CoreBench(.memory)
    let answers = Answers()
    try bench.turn(
      (0...SchedulerLimits.followersMax).map { _ in answers.ask(.follow("user:ann", after: 0, milliseconds: 1000)) })
    #expect(answers.all.count == 1)
    guard case .failed = answers.all.first else {
      Issue.record("\(answers.all)")
      return
    }
  }
}
