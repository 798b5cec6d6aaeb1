import AvaloCore
import AvaloStore
import Testing

@testable import AvaloStoreSQLite

/// What every engine keeps of broadcasts. Each test runs over all of them.
@Suite struct BroadcastContractTests {
  private func broadcast(_ id: UInt64, started: Int64 = LogBench.start) -> StoredBroadcast {
    StoredBroadcast(
      id: id, owner: "shop", eventID: "e\(id)", content: .max - id, attempt: 7, recipients: 1500, started: started)
  }

  @Test(arguments: Engine.allCases) func keepsABroadcastInEveryState(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    var row = broadcast(.max - 1)
    #expect(try bench.log.broadcast(row.id) == nil)
    try bench.transaction { try bench.log.put(row) }
    #expect(try bench.log.broadcast(row.id) == row)
    (row.received, row.done, row.failed) = (1500, 1200, 300)
    (row.state, row.finished, row.expires, row.shared) = (.finished, 5, 6, 7)
    try bench.transaction { try bench.log.put(row) }
    #expect(try bench.log.broadcast(row.id) == row)
    try bench.transaction { try bench.log.removeBroadcast(row.id) }
    #expect(try bench.log.broadcast(row.id) == nil)
  }

  @Test(arguments: Engine.allCases) func listsTheUnfinishedInTheOrderTheyBegan(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    var finished = broadcast(4, started: 1)
    finished.state = .finished
    try bench.transaction {
      for row in [broadcast(1, started: 30), broadcast(2, started: 10), broadcast(3, started: 20), finished] {
        try bench.log.put(row)
      }
    }
    #expect(try bench.log.unfinishedBroadcasts().map(\.id) == [2, 3, 1])
  }

  @Test(arguments: Engine.allCases) func findsTheRecipientsOfEveryPart(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      try bench.log.put(broadcast(1))
      try bench.log.put(record: record("{}", id: "e1"), ofBroadcast: 1)
      try bench.log.put(recipients: ["a", "b", "c"], from: 0, ofBroadcast: 1)
      try bench.log.put(recipients: ["d", "e"], from: 3, ofBroadcast: 1)
      try bench.log.put(recipients: ["z"], from: 0, ofBroadcast: 2)
    }
    #expect(try bench.log.record(ofBroadcast: 1) == record("{}", id: "e1"))
    for index: UInt32 in 0..<5 {
      let part = try #require(try bench.log.recipients(at: index, ofBroadcast: 1))
      #expect(part.first == (index < 3 ? 0 : 3))
      #expect(part.users == (index < 3 ? ["a", "b", "c"] : ["d", "e"]))
    }
    #expect(try bench.log.recipients(at: 5, ofBroadcast: 1) == nil)
    try bench.transaction { try bench.log.removeParts(ofBroadcast: 1) }
    #expect(try bench.log.recipients(at: 0, ofBroadcast: 1) == nil && bench.log.record(ofBroadcast: 1) == nil)
    #expect(try bench.log.recipients(at: 0, ofBroadcast: 2)?.users == ["z"])
    #expect(try bench.log.broadcast(1) != nil)
  }

  @Test(arguments: Engine.allCases) func forgetsTheOldestFinishedOnes(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      for id: UInt64 in 1...6 {
        var row = broadcast(id)
        row.state = id == 6 ? .running : .finished
        row.finished = id == 6 ? 0 : Int64(id) * 10
        try bench.log.put(row)
        try bench.log.put(recipients: ["a"], from: 0, ofBroadcast: id)
      }
    }
    #expect(try bench.transaction { try bench.log.removeFinishedBroadcasts(before: 20, keeping: 3) } == 2)
    #expect(try (1...6).map { try bench.log.broadcast($0) != nil } == [false, false, true, true, true, true])
    #expect(try bench.transaction { try bench.log.removeFinishedBroadcasts(before: 1000, keeping: 9) } == 3)
    // The one that runs stays, whatever its age, with its recipients.
    #expect(try bench.log.recipients(at: 0, ofBroadcast: 6)?.users == ["a"])
    #expect(try bench.log.recipients(at: 0, ofBroadcast: 3) == nil)
  }

  /// A chunk refers to a record that an earlier transaction stored.
  @Test(arguments: Engine.allCases) func aSharedRecordIsReferredToLater(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let expires = LogBench.start + 1000
    let shared = try bench.transaction {
      try bench.log.appendShared(expires: expires, record: record(#"{"b":1}"#), count: 2)
    }
    for user in ["ann", "bob"] {
      #expect(try bench.log.shared(shared) == record(#"{"b":1}"#) && bench.log.shared(shared + 1) == nil)
      try bench.transaction {
        try bench.log.append(topic: bench.topic("user:" + user), offset: 1, shared: shared)
      }
    }
    try bench.settle()
    #expect(try bench.page("user:ann").rows.map(\.record) == [record(#"{"b":1}"#)])
    #expect(try bench.page("user:bob").rows.map(\.record) == [record(#"{"b":1}"#)])
    // It is deleted by time.
    try bench.transaction { _ = try bench.log.expire(before: expires + 1) }
    try bench.settle(before: expires + 1)
    #expect(try bench.log.shared(shared) == nil)
  }

  @Test(arguments: Engine.allCases) func whatIsRolledBackWasNever(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.log.begin()
    try bench.log.put(broadcast(1))
    try bench.log.put(record: record(), ofBroadcast: 1)
    try bench.log.put(recipients: ["a"], from: 0, ofBroadcast: 1)
    let shared = try bench.log.appendShared(expires: LogBench.start + 1000, record: record(), count: 1)
    bench.log.rollback()
    #expect(try bench.log.broadcast(1) == nil && bench.log.record(ofBroadcast: 1) == nil)
    #expect(try bench.log.recipients(at: 0, ofBroadcast: 1) == nil && bench.log.shared(shared) == nil)
  }

  @Test(arguments: Engine.allCases) func findsAHeldEventByItsKey(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    func held(_ topic: String, _ hash: UInt64) -> DelayedEvent {
      DelayedEvent(due: LogBench.start + 10, topic: topic, hash: hash, content: 1, record: record())
    }
    try bench.transaction {
      try bench.log.hold(held("user:ann", 5))
      try bench.log.hold(held("user:bob", 5))
    }
    let found = try #require(try bench.log.delayed(topic: "user:bob", hash: 5))
    #expect(try bench.log.delayed(topic: "user:bob", hash: 6) == nil)
    try bench.transaction { try bench.log.release(delayed: found) }
    #expect(try bench.log.delayed(topic: "user:bob", hash: 5) == nil && bench.log.delayedCount() == 1)
  }

  /// A reference that is taken back is still to be made.
  @Test(arguments: Engine.allCases) func aReferenceThatIsRolledBackIsMadeAgain(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let shared = try bench.transaction {
      try bench.log.appendShared(expires: LogBench.start + 1000, record: record(#"{"b":1}"#), count: 1)
    }
    for _ in 0..<2 {
      try bench.log.begin()
      try bench.log.append(topic: bench.topic("user:ann"), offset: 1, shared: shared)
      bench.log.rollback()
    }
    try bench.transaction { try bench.log.append(topic: bench.topic("user:ann"), offset: 1, shared: shared) }
    #expect(try bench.page("user:ann").rows.map(\.record) == [record(#"{"b":1}"#)])
  }
}
