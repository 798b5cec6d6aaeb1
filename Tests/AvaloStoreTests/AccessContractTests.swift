import AvaloCore
import AvaloStore
import Testing

@testable import AvaloStoreSQLite

/// What every engine keeps of access. Each test runs over all of them.
@Suite struct AccessContractTests {
  @Test(arguments: Engine.allCases) func countsChangesFromZero(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    #expect(try bench.log.accessPosition() == 0)
    try bench.transaction { try bench.log.setAccessPosition(7) }
    #expect(try bench.log.accessPosition() == 7)
  }

  // MARK: Members

  @Test(arguments: Engine.allCases) func keepsMembersWithTheirFirstOffset(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let chat = try bench.transaction { try bench.topic("chat:c") }
    let other = try bench.transaction { try bench.topic("chat:d") }
    try bench.transaction {
      try bench.log.put(StoredMember(user: "ann", since: 1), topic: chat)
      try bench.log.put(StoredMember(user: "bob", since: 5), topic: chat)
      try bench.log.put(StoredMember(user: "ann", since: 9), topic: other)
    }
    #expect(try bench.log.member("ann", of: chat) == 1)
    #expect(try bench.log.member("ann", of: other) == 9)
    #expect(try bench.log.member("bob", of: other) == nil)
    #expect(try bench.log.memberCount(of: chat) == 2)
    try bench.transaction { try bench.log.put(StoredMember(user: "ann", since: 20), topic: chat) }
    #expect(try bench.log.member("ann", of: chat) == 20)
    #expect(try bench.log.memberCount(of: chat) == 2)
    try bench.transaction { try bench.log.removeMember("ann", of: chat) }
    #expect(try bench.log.member("ann", of: chat) == nil)
    #expect(try bench.log.member("ann", of: other) == 9)
    // Nobody's removal is no error.
    try bench.transaction { try bench.log.removeMember("zoe", of: chat) }
  }

  @Test(arguments: Engine.allCases) func listsMembersInTheOrderOfTheirIds(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let chat = try bench.transaction { try bench.topic("chat:c") }
    // The order of bytes: upper case first.
    let users = ["Zoe", "_x", "ann", "ann.b", "ann_b", "bob"]
    try bench.transaction {
      for user in users.shuffled() { try bench.log.put(StoredMember(user: user, since: 1), topic: chat) }
    }
    #expect(try bench.log.members(of: chat, after: "", limit: 99).map(\.user) == users)
    #expect(try bench.log.members(of: chat, after: "_x", limit: 2).map(\.user) == ["ann", "ann.b"])
    #expect(try bench.log.members(of: chat, after: "bob", limit: 2).isEmpty)
  }

  @Test(arguments: Engine.allCases) func takesAUserOutOfTheirChatsInChunks(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      for chat in 0..<5 {
        for user in ["ann", "bob"] {
          try bench.log.put(StoredMember(user: user, since: 1), topic: bench.topic("chat:\(chat)"))
        }
      }
    }
    #expect(
      try bench.log.memberships(of: "ann", limit: 9).count == 5 && bench.log.memberships(of: "zoe", limit: 9) == [])
    #expect(try bench.log.memberships(of: "ann", limit: 2).count == 2)
    #expect(try bench.transaction { try bench.log.removeMemberships(of: "ann", limit: 3) } == 3)
    #expect(try bench.transaction { try bench.log.removeMemberships(of: "ann", limit: 3) } == 2)
    #expect(try bench.transaction { try bench.log.removeMemberships(of: "ann", limit: 3) } == 0)
    for chat in 0..<5 {
      #expect(try bench.log.members(of: bench.topic("chat:\(chat)"), after: "", limit: 9).map(\.user) == ["bob"])
    }
  }

  // MARK: Revocations

  @Test(arguments: Engine.allCases) func keepsOneRevocationATarget(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let revocations = [
      Revocation(.user("ann"), issuedBeforeMilliseconds: 5, untilMilliseconds: 6),
      Revocation(.everybody, issuedBeforeMilliseconds: 7, untilMilliseconds: 8),
      // A user and a token of one name are two.
      .token("ann", untilMilliseconds: 9),
    ]
    try bench.transaction { for revocation in revocations { try bench.log.put(revocation) } }
    #expect(try Set(bench.log.revocations()) == Set(revocations))
    let later = Revocation(.user("ann"), issuedBeforeMilliseconds: 50, untilMilliseconds: 60)
    try bench.transaction { try bench.log.put(later) }
    #expect(try Set(bench.log.revocations()) == [later, revocations[1], revocations[2]])
    try bench.transaction { try bench.log.remove(.everybody) }
    try bench.transaction { try bench.log.remove(.token("unknown")) }
    #expect(try Set(bench.log.revocations()) == [later, revocations[2]])
  }

  // MARK: Erasing

  @Test(arguments: Engine.allCases) func remembersWhatIsBeingErased(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      try bench.log.put(StoredErasure(user: "ann", upTo: 3))
      try bench.log.put(StoredErasure(user: "ann", upTo: 5))
      try bench.log.put(StoredErasure(user: "bob", upTo: 1))
    }
    #expect(
      try bench.log.erasures().sorted { $0.user < $1.user }
        == [StoredErasure(user: "ann", upTo: 5), StoredErasure(user: "bob", upTo: 1)])
    try bench.transaction { try bench.log.removeErasure(of: "ann") }
    #expect(try bench.log.erasures().map(\.user) == ["bob"])
  }

  /// The last event too is gone, and the next one gets the next offset all the same.
  @Test(arguments: Engine.allCases, [false, true]) func erasesTheLastEventAndKeepsTheHead(
    _ engine: Engine, merged: Bool
  ) throws {
    let bench = try LogBench(engine)
    try bench.transaction { for number in 1...20 { try bench.append("user:a", record("{\"n\":\(number)}")) } }
    if merged { try bench.settle() }
    let id = try bench.topic("user:a")
    let removed = try bench.transaction {
      _ = try bench.log.evict(topic: id, upTo: 19, freeing: 0)
      return try bench.log.eraseLast(of: id)
    }
    #expect(removed.events == 1 && removed.bytes == record("{\"n\":20}").count)
    #expect(try bench.log.topic(named: "user:a") == StoredTopic(id: id, head: 20, floor: 20))
    #expect(try bench.log.bytes(of: id) == 0)
    #expect(try bench.log.tail(of: id, nowMilliseconds: LogBench.start) == 20)
    try bench.settle()
    var page = try bench.page("user:a")
    #expect(page.rows.isEmpty && page.through == 20 && page.floor == 20)
    // Once more there is nothing to erase.
    #expect(try bench.transaction { try bench.log.eraseLast(of: id) }.events == 0)
    #expect(try bench.transaction { try bench.append("user:a", record("{\"n\":21}")) } == 21)
    try bench.settle()
    page = try bench.page("user:a")
    #expect(page.rows.map(\.offset) == [21])
  }

  @Test(arguments: Engine.allCases) func erasingOneInboxLeavesTheOthersTheirCopy(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      let shared = try bench.log.appendShared(expires: LogBench.start + 60_000, record: record("{\"s\":1}"), count: 2)
      for user in 0..<2 { try bench.log.append(topic: bench.topic("user:\(user)"), offset: 1, shared: shared) }
    }
    #expect(try bench.transaction { try bench.log.eraseLast(of: bench.topic("user:0")) }.events == 1)
    #expect(try bench.page("user:0").rows.isEmpty)
    #expect(try bench.page("user:1").rows.map(\.record) == [record("{\"s\":1}")])
  }

  @Test(arguments: Engine.allCases) func dropsWhatIsHeldForOneTopic(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      for due in 1...6 {
        try bench.log.hold(
          DelayedEvent(
            due: Int64(due), topic: due.isMultiple(of: 2) ? "user:a" : "user:b", hash: 1, content: 1,
            record: record()))
      }
    }
    #expect(try bench.transaction { try bench.log.releaseDelayed(topic: "user:a", limit: 2) } == 2)
    #expect(try bench.transaction { try bench.log.releaseDelayed(topic: "user:a", limit: 2) } == 1)
    #expect(try bench.log.due(nowMilliseconds: 10, limit: 10).map(\.due) == [1, 3, 5])
  }

  // MARK: Transactions

  @Test(arguments: Engine.allCases) func whatIsRolledBackNeverWas(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let chat = try bench.transaction { try bench.topic("chat:c") }
    let kept = Revocation(.user("ann"), issuedBeforeMilliseconds: 5, untilMilliseconds: 6)
    try bench.transaction {
      try bench.log.setAccessPosition(3)
      try bench.log.put(StoredMember(user: "ann", since: 4), topic: chat)
      try bench.log.put(StoredMember(user: "bob", since: 4), topic: chat)
      try bench.log.put(kept)
      try bench.log.put(StoredErasure(user: "ann", upTo: 5))
      try bench.append("user:ann", record())
      try bench.log.hold(DelayedEvent(due: 5, topic: "user:ann", hash: 3, content: 3, record: record()))
    }
    struct Refused: Error {}
    #expect(throws: Refused.self) {
      try bench.transaction {
        try bench.log.setAccessPosition(4)
        try bench.log.put(StoredMember(user: "ann", since: 9), topic: chat)
        try bench.log.put(StoredMember(user: "zoe", since: 9), topic: chat)
        try bench.log.removeMember("bob", of: chat)
        _ = try bench.log.removeMemberships(of: "ann", limit: 9)
        try bench.log.put(Revocation(.user("ann"), issuedBeforeMilliseconds: 50, untilMilliseconds: 60))
        try bench.log.put(.token("t", untilMilliseconds: 60))
        try bench.log.remove(kept.target)
        try bench.log.put(StoredErasure(user: "ann", upTo: 50))
        try bench.log.removeErasure(of: "ann")
        _ = try bench.log.eraseLast(of: bench.topic("user:ann"))
        _ = try bench.log.releaseDelayed(topic: "user:ann", limit: 9)
        // Seen from within.
        #expect(try bench.log.members(of: chat, after: "", limit: 9).map(\.user) == ["zoe"])
        #expect(try bench.log.accessPosition() == 4)
        throw Refused()
      }
    }
    #expect(try bench.log.accessPosition() == 3)
    #expect(
      try bench.log.members(of: chat, after: "", limit: 9)
        == [StoredMember(user: "ann", since: 4), StoredMember(user: "bob", since: 4)])
    #expect(try bench.log.revocations() == [kept])
    #expect(try bench.log.erasures() == [StoredErasure(user: "ann", upTo: 5)])
    #expect(try bench.page("user:ann").rows.count == 1)
    #expect(try bench.log.due(nowMilliseconds: 9, limit: 9).count == 1)
  }

  /// Offsets go on over generations, and so do memberships.
  @Test(arguments: Engine.allCases) func aNewGenerationKeepsAccess(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      try bench.log.put(StoredMember(user: "ann", since: 4), topic: bench.topic("chat:c"))
      try bench.log.put(.token("t", untilMilliseconds: 60))
      try bench.log.setAccessPosition(2)
    }
    try bench.log.mint(nowMilliseconds: LogBench.start)
    #expect(try bench.log.member("ann", of: bench.topic("chat:c")) == 4)
    #expect(try bench.log.revocations().count == 1)
    #expect(try bench.log.accessPosition() == 2)
  }
}
