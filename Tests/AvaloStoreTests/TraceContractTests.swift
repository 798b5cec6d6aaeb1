import AvaloCore
import AvaloStore
import Testing

/// What every engine tells people who ask what became of an event. Each test runs over all of them.
@Suite struct TraceContractTests {
  private func key(_ bench: LogBench, _ owner: String, _ event: String, offset: UInt64) -> StoredKey {
    var event = event
    let hash = event.withUTF8 { bench.log.identity.hash(owner: owner, eventID: UnsafeRawBufferPointer($0)) }
    return StoredKey(
      hash: hash, content: 1, offset: offset, accepted: LogBench.start, until: LogBench.start + 600_000)
  }

  private func places(_ trace: EventTrace) -> [String] {
    trace.kept.map { "\($0.topic ?? "-") \($0.offset)" }.sorted()
  }

  private func owners(_ trace: EventTrace) -> [String] {
    trace.accepted.map { "\($0.topic ?? "-") \($0.owner) \($0.key.offset)" }.sorted()
  }

  /// Wherever rows lie on their way into the trees; another event that mentions the id is not it.
  @Test(arguments: Engine.allCases) func findsAnEventAndWhoPublishedIt(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      try bench.append("user:a", record(id: "evt_1"), key: key(bench, "shop", "evt_1", offset: 1))
      try bench.append("user:a", record(#"{"about":"evt_1"}"#, id: "evt_2"))
      try bench.append("user:b", record(id: "evt_1"))
    }
    let reader = try bench.log.reader()
    for _ in 1...2 {
      func trace(_ event: String, _ topic: String? = nil) throws -> EventTrace {
        try reader.trace(TraceRequest(eventID: event, owners: ["shop", "blog"], topic: topic, limit: 9))
      }
      #expect(try places(trace("evt_1")) == ["user:a 1", "user:b 1"])
      #expect(try owners(trace("evt_1")) == ["user:a shop 1"])
      #expect(try places(trace("evt_1", "user:b")) == ["user:b 1"])
      #expect(try owners(trace("evt_1", "user:b")) == [])
      #expect(try places(trace("evt_1", "user:nobody")) == [])
      #expect(try places(trace("evt")) == [])
      try bench.settle()
    }
  }

  /// An event that was held gets its offset later, or is taken back: its key is put anew, and the last one counts.
  @Test(arguments: Engine.allCases) func ofAKeyThatWasPutAnewTheLastCounts(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction { try bench.log.put(key(bench, "shop", "evt_1", offset: 0), topic: bench.topic("user:a")) }
    let reader = try bench.log.reader()
    func offsets() throws -> [UInt64] {
      try reader.trace(TraceRequest(eventID: "evt_1", owners: ["shop"], topic: nil, limit: 9)).accepted.map(
        \.key.offset)
    }
    #expect(try offsets() == [0])
    try bench.transaction {
      try bench.append("user:a", record(id: "other"), key: key(bench, "shop", "evt_1", offset: 1))
    }
    #expect(try offsets() == [1])
    try bench.settle()
    #expect(try offsets() == [1])
  }

  /// What became of an event that was held outlives its key, under a name of its own.
  @Test(arguments: Engine.allCases) func knowsWhatBecameOfAHeldEvent(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let own = key(bench, "shop", "evt_1", offset: 0)
    try bench.transaction {
      let topic = try bench.topic("user:a")
      for fate: UInt64 in [1, 3] {
        let note = StoredKey(
          hash: bench.log.identity.hash(ofHeld: own.hash), content: UInt64(topic), offset: fate,
          accepted: LogBench.start + Int64(fate), until: LogBench.start + 600_000)
        try bench.log.put(note, topic: 0)
      }
    }
    let reader = try bench.log.reader()
    for _ in 1...2 {
      func fates(_ topic: String?, owner: String = "shop") throws -> [String] {
        try reader.trace(TraceRequest(eventID: "evt_1", owners: [owner], topic: topic, limit: 9)).fates
          .map { "\($0.topic) \($0.owner) \($0.key.offset)" }
      }
      #expect(try fates(nil) == ["user:a shop 3"] && fates("user:a") == ["user:a shop 3"])
      #expect(try fates("user:b") == [] && fates(nil, owner: "blog") == [])
      try bench.settle()
    }
  }

  @Test(arguments: Engine.allCases) func knowsOfAnExpiredEventThatItWasAccepted(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      try bench.append("user:a", record(id: "evt_1"), key: key(bench, "shop", "evt_1", offset: 1))
    }
    try bench.transaction { _ = try bench.log.expire(before: LogBench.start + 120_000) }
    try bench.settle(before: LogBench.start + 120_000)
    let trace = try bench.log.reader().trace(
      TraceRequest(eventID: "evt_1", owners: ["shop"], topic: "user:a", limit: 9))
    #expect(places(trace) == [])
    #expect(owners(trace) == ["user:a shop 1"])
  }

  /// However it is stored, in one inbox it is at one offset.
  @Test(arguments: Engine.allCases) func findsABroadcastInAnInbox(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      try bench.append("user:2", record(id: "own"))
      let shared = try bench.log.appendShared(
        expires: LogBench.start + 60_000, record: record(id: "evt_1"), count: 2)
      try bench.log.append(topic: bench.topic("user:1"), offset: 1, shared: shared)
      try bench.log.append(topic: bench.topic("user:2"), offset: 2, shared: shared)
    }
    let reader = try bench.log.reader()
    for _ in 1...2 {
      for (topic, place) in [("user:1", ["user:1 1"]), ("user:2", ["user:2 2"]), ("user:3", [])] {
        let trace = try reader.trace(TraceRequest(eventID: "evt_1", owners: [], topic: topic, limit: 9))
        #expect(places(trace) == place)
      }
      try bench.settle()
    }
  }

  @Test(arguments: Engine.allCases) func tellsNoMoreThanTheLimit(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction { for user in 1...9 { try bench.append("user:\(user)", record(id: "evt_1")) } }
    let trace = try bench.log.reader().trace(TraceRequest(eventID: "evt_1", owners: [], topic: nil, limit: 4))
    #expect(trace.kept.count == 4)
  }

  /// Of an inbox all of its user's, of another topic those that acknowledged something there.
  @Test(arguments: Engine.allCases) func tellsHowFarDevicesAre(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      let phone = try bench.log.register(user: "a", device: "phone", platform: .ios, seen: 30)
      _ = try bench.log.register(user: "a", device: "tablet", platform: .web, seen: 20)
      _ = try bench.log.register(user: "b", device: "phone", platform: .web, seen: 40)
      try bench.log.put(StoredCursor(topic: bench.topic("user:a"), offset: 5), device: phone)
      try bench.log.put(StoredCursor(topic: bench.topic("chat:c"), offset: 6, began: 6), device: phone)
      try bench.log.put(StoredCursor(topic: bench.topic("chat:c"), offset: 7), device: phone)
      try bench.log.put(StoredMember(user: "a", since: 3), topic: bench.topic("chat:c"))
    }
    let reader = try bench.log.reader()
    func told(_ topic: String, limit: Int = 9) throws -> [String] {
      try reader.devices(of: topic, limit: limit).map {
        "\($0.user) \($0.device.device) \($0.cursor.map { "\($0)" } ?? "-")"
      }
    }
    #expect(try told("user:a") == ["a phone 5", "a tablet -"])
    #expect(try told("user:a", limit: 1) == ["a phone 5"])
    #expect(try told("chat:c") == ["a phone 7"])
    let phone = try #require(try reader.devices(of: "chat:c", limit: 9).first)
    #expect(phone.began == 6 && phone.since == 3, "where it began, however it moved")
    #expect(try told("user:b") == ["b phone -"])
    #expect(try told("chat:unknown") == [])
  }
}
