import AvaloCore
import AvaloStore
import Testing

@testable import AvaloStoreSQLite

/// What every engine keeps for those who follow the log. Each test runs over all of them.
@Suite struct FollowContractTests {
  private func follow(
    _ bench: LogBench, _ topic: String, _ type: EventType = .notification, _ payload: String = "{}",
    expires: Int64 = LogBench.start + 60_000
  ) throws {
    try bench.append(topic, record(payload, type: type), expires: expires)
    try bench.log.followLast(type)
  }

  private func page(
    _ bench: LogBench, after: UInt64 = 0, types: EventTypes = .durable, bytes: Int = 1 << 20,
    now: Int64 = LogBench.start
  ) throws -> FollowPage {
    try bench.log.reader().follow(FollowRequest(types: types, after: after, bytesMax: bytes, nowMilliseconds: now))
  }

  @Test(arguments: Engine.allCases) func readsWhatIsFollowedInTheOrderOfTheLog(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    for round in 1...20 {
      try bench.transaction {
        try follow(bench, "user:a", .notification, "{\"n\":\(round)}")
        try bench.append("user:a", record("{}"))  // followed by nobody
        try follow(bench, "user:b", .chatMessage, "{\"m\":\(round)}")
      }
      // Wherever index rows are on their way into the trees.
      _ = try bench.log.maintain(rows: 2, before: LogBench.start)
    }
    let all = try page(bench)
    #expect(all.rows.count == 40 && all.gone == 0)
    #expect(all.rows.map(\.topic) == (1...20).flatMap { _ in ["user:a", "user:b"] })
    #expect(all.rows.map(\.sequence) == all.rows.map(\.sequence).sorted())
    #expect(all.through == all.rows.last?.sequence && all.through == bench.log.lastSequence)
    #expect(all.rows[2].offset == 3 && all.rows[2].record == record("{\"n\":2}", type: .notification))

    let chats = try page(bench, types: EventTypes([.chatMessage]))
    #expect(chats.rows.map(\.topic) == Array(repeating: "user:b", count: 20))
    #expect(chats.through == all.through)
    #expect(try page(bench, after: all.rows[9].sequence).rows == Array(all.rows[10...]))
    #expect(try page(bench, after: all.through).rows.isEmpty)
    #expect(try page(bench, after: all.through).through == all.through)

    // A page ends behind the row that fills it.
    let short = try page(bench, bytes: 1)
    #expect(short.rows == [all.rows[0]] && short.through == all.rows[0].sequence)
  }

  @Test(arguments: Engine.allCases) func whatABroadcastBringsToEachInboxIsFollowed(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      let shared = try bench.log.appendShared(expires: LogBench.start + 1000, record: record("{\"b\":1}"), count: 2)
      for user in ["user:a", "user:b"] {
        try bench.log.append(topic: bench.topic(user), offset: 1, shared: shared)
        try bench.log.followLast(.notification)
      }
    }
    let rows = try page(bench).rows
    #expect(rows.map(\.topic) == ["user:a", "user:b"])
    #expect(rows.allSatisfy { $0.record == record("{\"b\":1}") && $0.offset == 1 })
  }

  @Test(arguments: Engine.allCases) func tellsWhatIsGone(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      try follow(bench, "user:a", expires: LogBench.start + 10)
      try follow(bench, "user:b")
      try follow(bench, "user:b")
      try follow(bench, "user:b")
    }
    _ = try bench.transaction { try bench.log.evict(topic: bench.topic("user:b"), upTo: 2, freeing: 0) }
    let page = try page(bench, now: LogBench.start + 10)
    #expect(page.gone == 3)
    #expect(page.rows.map(\.offset) == [3])
    // What a later event has taken the place of is still gone.
    try bench.transaction { try bench.append("user:c") }
    #expect(try self.page(bench, now: LogBench.start + 10).gone == 3)
  }

  /// A broadcast's record stays for its other inboxes; what one of them had of it is gone with the rest.
  @Test(arguments: Engine.allCases) func nothingOfAnErasedInboxIsRead(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      let shared = try bench.log.appendShared(expires: LogBench.start + 1000, record: record("{}"), count: 2)
      for user in ["user:a", "user:b"] {
        try bench.log.append(topic: bench.topic(user), offset: 1, shared: shared)
        try bench.log.followLast(.notification)
      }
      try follow(bench, "user:a")
      try follow(bench, "chat:a")
    }
    // From the commit on that begins it, whenever its events go.
    try bench.transaction { try bench.log.put(StoredErasure(user: "a", upTo: 2)) }
    try bench.transaction { try follow(bench, "user:a") }
    let begun = try page(bench)
    #expect(begun.rows.map(\.topic) == ["user:b", "chat:a", "user:a"] && begun.rows.last?.offset == 3)
    #expect(begun.gone == 2)
    _ = try bench.transaction { try bench.log.evict(topic: bench.topic("user:a"), upTo: 2, freeing: 0) }
    try bench.transaction { try bench.log.removeErasure(of: "a") }
    let done = try page(bench)
    #expect(done.rows == begun.rows && done.gone == 2 && done.through == begun.through)
  }

  @Test(arguments: Engine.allCases) func whatIsRolledBackIsFollowedByNobody(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction { try follow(bench, "user:a") }
    let follower = StoredFollower(name: "w", types: .durable, acknowledged: 7, seen: 1)
    try bench.transaction { try bench.log.put(follower) }
    try bench.log.begin()
    try follow(bench, "user:a")
    try bench.log.put(StoredFollower(name: "w", types: [], acknowledged: 9, seen: 2))
    try bench.log.put(StoredFollower(name: "v", types: [], acknowledged: 9, seen: 2))
    _ = try bench.log.dropFollowed(upTo: .max, limit: 9)
    bench.log.rollback()
    #expect(try bench.log.followers() == [follower])
    #expect(try bench.log.followedCount() == 1)
    #expect(try page(bench).rows.count == 1)
  }

  @Test(arguments: Engine.allCases) func dropsTheOldestInChunks(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction { for _ in 1...6 { try follow(bench, "user:a") } }
    let rows = try page(bench).rows
    let first = try bench.transaction { try bench.log.dropFollowed(upTo: rows[3].sequence, limit: 3) }
    #expect(first == rows[..<3].map { Followed(sequence: $0.sequence, type: .notification) })
    let second = try bench.transaction { try bench.log.dropFollowed(upTo: rows[3].sequence, limit: 3) }
    #expect(second.map(\.sequence) == [rows[3].sequence])
    #expect(try bench.log.followedCount() == 2)
    #expect(try page(bench).rows == Array(rows[4...]))
  }

  @Test(arguments: Engine.allCases) func remembersFollowers(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    var follower = StoredFollower(
      name: "webhook", types: EventTypes([.chatMessage]), acknowledged: 1, missed: 2, seen: 3)
    try bench.transaction { try bench.log.put(follower) }
    follower.acknowledged = 5
    try bench.transaction { try bench.log.put(follower) }
    #expect(try bench.log.followers() == [follower])
    try bench.transaction { try bench.log.removeFollower("webhook") }
    #expect(try bench.log.followers().isEmpty)
  }
}
