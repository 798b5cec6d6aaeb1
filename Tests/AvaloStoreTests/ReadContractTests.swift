import AvaloCore
import AvaloStore
import Testing

@testable import AvaloStoreSQLite

/// What every engine keeps of messages and of who read them. Each test runs over all of them.
@Suite struct ReadContractTests {
  private func append(
    _ bench: LogBench, _ topic: String, _ chat: TopicID, _ message: UInt64, source: UInt64 = 0,
    expires: Int64 = LogBench.start + 60_000
  ) throws {
    let id = try bench.topic(topic)
    let offset = (try bench.log.topic(named: topic)?.head ?? 0) + 1
    try bench.log.append(
      topic: id, offset: offset, expires: expires, record: record("{\"m\":\(message)}"), key: nil,
      message: ChatMessage(chat: chat, message: message, source: source))
  }

  /// Wherever a message lies on its way into the trees it is found, once, in order.
  @Test(arguments: Engine.allCases) func findsMessagesWhereverTheyLie(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let (chat, other, inbox) = try bench.transaction {
      (try bench.topic("chat:c"), try bench.topic("chat:d"), try bench.topic("user:a"))
    }
    for round in 1...30 as ClosedRange<UInt64> {
      try bench.transaction {
        try append(bench, "user:a", chat, round, source: 7)
        try append(bench, "user:a", other, 1000 + round)
        try append(bench, "chat:c", chat, round)
        try append(bench, "user:a", chat, max(1, round - 1))  // seen before
        #expect(try bench.log.messages(of: chat, in: inbox, after: 0, upTo: .max, limit: 99).count == Int(round))
      }
      let found = try bench.log.messages(of: chat, in: inbox, after: 0, upTo: .max, limit: 99)
      #expect(found.map(\.message) == Array(1...round))
      #expect(found.map(\.sequence) == found.map(\.sequence).sorted())
      for message in 1...round { #expect(try bench.log.message(message, of: chat, in: inbox)?.source == 7) }
      _ = try bench.log.maintain(rows: 2, before: LogBench.start)
    }
    let all = try bench.log.messages(of: chat, in: inbox, after: 0, upTo: .max, limit: 99)
    let middle = try bench.log.messages(
      of: chat, in: inbox, after: all[9].sequence, upTo: all[19].sequence, limit: 99)
    #expect(middle == Array(all[10...19]))
    #expect(try bench.log.messages(of: chat, in: inbox, after: 0, upTo: .max, limit: 5) == Array(all[..<5]))
    #expect(try bench.log.messages(of: chat, in: bench.topic("chat:c"), after: 0, upTo: .max, limit: 99).count == 30)
    #expect(try bench.log.chats(in: inbox, limit: 9) == [chat, other])
    #expect(try bench.log.message(99, of: chat, in: inbox) == nil)
    #expect(all[0].offset == 1 && all[0].expires == LogBench.start + 60_000)
  }

  /// A reader beside the owner sees what is committed, wherever it lies; a count is the count of what is listed.
  @Test(arguments: Engine.allCases) func readersSeeTheSameAndCountIt(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let (chat, other, inbox) = try bench.transaction {
      (try bench.topic("chat:c"), try bench.topic("chat:d"), try bench.topic("user:a"))
    }
    let reader = try bench.log.reader()
    for round in 1...30 as ClosedRange<UInt64> {
      try bench.transaction {
        try append(bench, "user:a", chat, round, source: round % 3)
        try append(bench, "user:a", other, 1000 + round, expires: LogBench.start + Int64(round) * 1000)
        try append(bench, "user:a", chat, max(1, round / 2), source: 9)  // seen before
        try bench.log.put(StoredMember(user: "a", since: round), topic: chat)
      }
      _ = try bench.log.maintain(rows: 3, before: LogBench.start)
      let all = try bench.log.messages(of: chat, in: inbox, after: 0, upTo: .max, limit: 99)
      #expect(all.map(\.message) == Array(1...round))
      var ranges = [
        MessageRange(chat: chat, scope: inbox), MessageRange(chat: chat, scope: inbox, besides: 1),
        MessageRange(chat: chat, scope: inbox, floor: round),
        MessageRange(chat: other, scope: inbox, expired: LogBench.start + 9000),
        MessageRange(chat: chat, scope: chat),
      ]
      ranges.append(MessageRange(chat: chat, scope: inbox, after: all[all.count / 2].sequence))
      ranges.append(MessageRange(chat: chat, scope: inbox, upTo: all[all.count / 2].sequence))
      for range in ranges {
        let listed = try bench.log.messages(range, limit: 99)
        #expect(listed.allSatisfy { range.contains($0) })
        #expect(try reader.messages(range, limit: 99) == listed)
        for limit in [1, 7, 99] {
          #expect(try bench.log.messageCount(range, limit: limit) == min(limit, listed.count))
          #expect(try reader.messageCount(range, limit: limit) == min(limit, listed.count))
          #expect(try reader.messages(range, limit: limit) == Array(listed.prefix(limit)))
        }
      }
      #expect(try reader.message(round, of: chat, in: inbox) == all.last)
      #expect(try reader.chats(in: inbox, limit: 9) == [chat, other])
      #expect(try reader.member("a", of: chat) == round && reader.member("b", of: chat) == nil)
      #expect(try reader.topic(named: "user:a") == bench.log.topic(named: "user:a"))
    }
    #expect(try reader.topic(named: "user:nobody") == nil)
    #expect(try reader.name(of: inbox) == "user:a" && reader.name(of: 99) == nil)
    let marker = StoredMarker(
      chat: chat, user: "a", upTo: 3, version: 4, read: 50, messageID: "m", request: .max - 1, count: 7)
    try bench.transaction { try bench.log.put(marker) }
    #expect(try reader.marker(of: "a", in: chat) == marker && reader.marker(of: "b", in: chat) == nil)
    #expect(try reader.markers(of: chat, since: 50, limit: 9) == [marker])
    #expect(try reader.markers(of: chat, since: 51, limit: 9).isEmpty)
  }

  @Test(arguments: Engine.allCases) func forgetsMessagesWithTheirEvents(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let (chat, inbox) = try bench.transaction { (try bench.topic("chat:c"), try bench.topic("user:a")) }
    try bench.transaction {
      for message in 1...30 as ClosedRange<UInt64> {
        try append(bench, "user:a", chat, message, expires: LogBench.start + (message <= 10 ? 1000 : 60_000))
      }
    }
    try bench.settle()
    try bench.transaction {
      _ = try bench.log.expire(before: LogBench.start + 2000)
      _ = try bench.log.evict(topic: inbox, upTo: 20, freeing: 0)
    }
    // What waits in memory goes with the next merge.
    try bench.transaction {
      for message in 31...50 as ClosedRange<UInt64> { try append(bench, "user:a", chat, message) }
    }
    try bench.settle(before: LogBench.start + 2000)
    let left = try bench.log.messages(of: chat, in: inbox, after: 0, upTo: .max, limit: 99)
    #expect(left.map(\.message) == Array(21...50))
  }

  @Test(arguments: Engine.allCases) func whatIsRolledBackWasNoMessage(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let (chat, inbox) = try bench.transaction { (try bench.topic("chat:c"), try bench.topic("user:a")) }
    try bench.transaction { try append(bench, "user:a", chat, 1) }
    struct Refused: Error {}
    #expect(throws: Refused.self) {
      try bench.transaction {
        try append(bench, "user:a", chat, 2)
        try bench.log.put(
          StoredMarker(chat: chat, user: "a", upTo: 1, version: bench.log.advanceSequence(), read: 1, messageID: ""))
        throw Refused()
      }
    }
    #expect(try bench.log.messages(of: chat, in: inbox, after: 0, upTo: .max, limit: 9).map(\.message) == [1])
    #expect(try bench.log.marker(of: "a", in: chat) == nil)
  }

  @Test(arguments: Engine.allCases) func keepsOneMarkerOfAUserInAChat(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let (chat, other) = try bench.transaction { (try bench.topic("chat:c"), try bench.topic("chat:d")) }
    func marker(_ user: String, _ chat: TopicID, _ version: UInt64) -> StoredMarker {
      StoredMarker(
        chat: chat, user: user, upTo: version, version: version, read: Int64(version) * 10, messageID: "m\(version)")
    }
    try bench.transaction {
      for (user, chat, version) in [("a", chat, 1), ("b", chat, 2), ("a", other, 3), ("a", chat, 4)] {
        try bench.log.put(marker(user, chat, UInt64(version)))
      }
    }
    #expect(try bench.log.marker(of: "a", in: chat) == marker("a", chat, 4))
    #expect(try bench.log.markers(of: chat, since: 0, limit: 9) == [marker("a", chat, 4), marker("b", chat, 2)])
    #expect(try bench.log.markers(of: chat, since: 21, limit: 9) == [marker("a", chat, 4)])
    #expect(try bench.log.markers(of: chat, since: 0, limit: 1) == [marker("a", chat, 4)])
    #expect(try bench.log.markers(above: 2, limit: 9) == [marker("a", other, 3), marker("a", chat, 4)])
    #expect(try bench.log.markers(above: 0, limit: 2) == [marker("a", other, 3), marker("a", chat, 4)])
    #expect(try bench.log.markers(above: 4, limit: 9).isEmpty && bench.log.markers(above: .max, limit: 9).isEmpty)
    #expect(try bench.transaction { try bench.log.removeMarkers(of: "a", limit: 1) } == 1)
    #expect(try bench.transaction { try bench.log.removeMarkers(of: "a", limit: 9) } == 1)
    #expect(try bench.log.marker(of: "a", in: other) == nil)
    #expect(try bench.log.marker(of: "b", in: chat) != nil)
  }

  @Test(arguments: Engine.allCases) func looksUpNamesAndRecords(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction { for number in 1...20 { try bench.append("user:a", record("{\"n\":\(number)}")) } }
    let id = try bench.topic("user:a")
    for _ in 0..<2 {
      #expect(try bench.log.record(of: id, at: 7) == record("{\"n\":7}"))
      #expect(try bench.log.record(of: id, at: 0) == nil && bench.log.record(of: id, at: 21) == nil)
      try bench.settle()
    }
    #expect(try bench.log.name(of: id) == "user:a" && bench.log.name(of: 99) == nil)
  }

  /// Versions never go back, even when everything is merged and the process ends.
  @Test func theSequenceGoesOnAfterARestart() throws {
    let folder = Folder()
    func open() throws -> SQLiteEventLog {
      try SQLiteEventLog(
        LogFile(path: folder.file, durability: .os, bootID: "boot"), nowMilliseconds: LogBench.start,
        generator: SystemRandomNumberGenerator(), mergeRows: 4, lockMilliseconds: 0)
    }
    var log: SQLiteEventLog? = try open()
    var last: UInt64 = 0
    for _ in 0..<5 {
      try log!.begin()
      for _ in 0..<6 { _ = try log!.advanceSequence() }
      try log!.commit()
      #expect(log!.lastSequence == last + 6)
      last = log!.lastSequence
      while try log!.maintain(rows: 3, before: LogBench.start) {}
      log = nil
      log = try open()
      #expect(log!.lastSequence == last)
    }
  }
}
