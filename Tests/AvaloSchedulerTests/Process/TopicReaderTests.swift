import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// Pages of a topic for servers.
@Suite struct TopicReaderTests {
  /// Twenty events, one a second; every fourth expires at once.
  private func filled(_ engine: LogKind) throws -> CoreBench {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    for number in 1...20 {
      let record = EventFields(
        type: .notification, ttlSeconds: number.isMultiple(of: 4) ? 1 : 10_000,
        timestampMilliseconds: bench.now.wall, acceptedMicroseconds: bench.now.wall * 1000, eventID: "e\(number)",
        payload: Array("{}".utf8)
      ).record()
      try bench.turn(
        link,
        .publish(
          link, correlation: 0,
          Publish(owner: "shop", topic: Topic("user:ann")!, contentHash: UInt64(number), record: record)))
      bench.advance(1000)
    }
    return bench
  }

  private func read(
    _ bench: CoreBench, after: UInt64 = 0, epoch: Epoch = .none, since: Int64 = 0, limit: UInt32 = 100,
    topic: String = "user:ann"
  ) throws -> TopicPage {
    try TopicReader(reader: bench.log.reader(), now: bench.now.wall).page(
      ReadTopic(
        topic: Topic(topic)!, after: Position(epoch: epoch, offset: after), sinceMilliseconds: since, limit: limit))
  }

  @Test(arguments: LogKind.allCases) func readsPageByPage(_ engine: LogKind) throws {
    let bench = try filled(engine)
    var offsets: [UInt64] = []
    var after: UInt64 = 0
    repeat {
      let page = try read(bench, after: after, limit: 4)
      #expect(page.head == bench.position("user:ann", 20) && page.after == after && page.rows.count <= 4)
      offsets += page.rows.map(\.offset)
      after = page.through
    } while after < 20
    #expect(offsets == (1...20).filter { !$0.isMultiple(of: 4) })
    // Behind the end there is nothing, and the place does not move.
    let end = try read(bench, after: 77)
    #expect(end.after == 20 && end.through == 20 && end.rows.isEmpty)
  }

  @Test(arguments: LogKind.allCases) func findsTheFirstEventOfAMoment(_ engine: LogKind) throws {
    let bench = try filled(engine)
    for number: Int64 in 1...20 {
      let accepted = CoreBench.start + (number - 1) * 1000
      // Exactly then, and between it and the one before. Those that have expired are nobody's first.
      let expected = UInt64(number.isMultiple(of: 4) ? number + 1 : number)
      for since in [accepted, accepted - 1] {
        let page = try read(bench, since: since, limit: 1)
        #expect(page.rows.first?.offset == (expected > 20 ? nil : expected), "since \(number)")
      }
    }
    #expect(try read(bench, since: 1).rows.first?.offset == 1)
    let future = try read(bench, since: bench.now.wall)
    #expect(future.rows.isEmpty && future.through == 20)
  }

  @Test(arguments: LogKind.allCases) func tellsTheFloor(_ engine: LogKind) throws {
    let bench = try filled(engine)
    try bench.log.begin()
    let id = try #require(try bench.log.topic(named: "user:ann")?.id)
    _ = try bench.log.evict(topic: id, upTo: 6, freeing: 0)
    try bench.log.commit()
    let page = try read(bench, limit: 1)
    #expect(page.floor == 6 && page.after == 0 && page.rows.map(\.offset) == [7])
    #expect(try read(bench, since: CoreBench.start, limit: 1).rows.map(\.offset) == [7])
  }

  /// An offset of another life of the log means nothing: what there is, is shown from its beginning.
  @Test(arguments: LogKind.allCases) func aForeignEpochBeginsAnew(_ engine: LogKind) throws {
    let bench = try filled(engine)
    let page = try read(bench, after: 10, epoch: Epoch(rawValue: 1), limit: 1)
    #expect(page.rows.map(\.offset) == [1])
    let own = try read(bench, after: 10, epoch: bench.log.identity.epoch(of: "user:ann"), limit: 1)
    #expect(own.rows.map(\.offset) == [11])
  }

  @Test(arguments: LogKind.allCases) func ofATopicNobodyWroteToThereIsNothing(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let page = try read(bench, since: 5, topic: "feed:none")
    #expect(page == TopicPage(head: bench.position("feed:none", 0), floor: 0, after: 0, through: 0, rows: []))
  }
}
