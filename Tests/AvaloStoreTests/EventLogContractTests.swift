import AvaloCore
import AvaloStore
import Testing

/// What every engine must do, and the caller relies on. Each test runs over all of them.
@Suite struct EventLogContractTests {
  // MARK: Topics and events

  @Test(arguments: Engine.allCases) func anUnknownTopicIsUnknownAndADrawnOneIsEmpty(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    #expect(try bench.log.topic(named: "user:a") == nil)
    let id = try bench.transaction { try bench.log.createTopic(named: "user:a") }
    #expect(try bench.log.topic(named: "user:a") == StoredTopic(id: id, head: 0, floor: 0))
    #expect(id > 0)
  }

  @Test(arguments: Engine.allCases) func whatIsAppendedIsReadInOrder(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    for turn in 0..<5 {
      try bench.transaction {
        for number in 0..<7 {
          try bench.append("user:a", record("{\"a\":\(turn * 7 + number)}"))
          try bench.append("user:b", record("{\"b\":\(turn * 7 + number)}"))
        }
      }
      _ = try bench.log.maintain(rows: 3, before: LogBench.start)
    }
    let page = try bench.page("user:a")
    #expect(page.through == 35)
    #expect(page.floor == 0)
    #expect(page.rows.map(\.offset) == Array(1...35))
    #expect(page.rows.map(\.record) == (0..<35).map { record("{\"a\":\($0)}") })
    #expect(try bench.log.topic(named: "user:a")?.head == 35)
  }

  @Test(arguments: Engine.allCases) func aPageEndsAtItsBounds(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction { for number in 1...20 { try bench.append("user:a", record("{\"n\":\(number)}")) } }
    let size = record("{\"n\":10}").count
    var page = try bench.page("user:a", after: 10, upTo: 15)
    #expect(page.rows.map(\.offset) == Array(11...15))
    #expect(page.through == 15)
    // After the first row that reaches the bound.
    page = try bench.page("user:a", after: 10, upTo: 20, bytes: 2 * size + 1)
    #expect(page.rows.map(\.offset) == [11, 12, 13])
    #expect(page.through == 13)
    page = try bench.page("user:a", after: 10, upTo: 20, bytes: 0)
    #expect(page.rows.map(\.offset) == [11])
    // Never beyond what there is.
    page = try bench.page("user:a", after: 18, upTo: 500)
    #expect(page.rows.map(\.offset) == [19, 20])
    #expect(page.through == 20)
    page = try bench.page("user:a", after: 20, upTo: 20)
    #expect(page.rows.isEmpty)
    page = try bench.page("user:unknown")
    #expect(page.rows.isEmpty && page.through == 0)
  }

  @Test(arguments: Engine.allCases) func anotherEpochIsToldAndNotRead(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction { _ = try bench.append("user:a") }
    let other = Epoch(generation: 1, nonce: 1)
    let outcome = try bench.log.reader().read(
      ReadRequest(topic: "user:a", epoch: other, after: 0, upTo: 1, bytesMax: 1000, nowMilliseconds: LogBench.start))
    guard case .otherEpoch(let epoch) = outcome else {
      Issue.record("a page of another epoch")
      return
    }
    #expect(epoch == bench.log.identity.epoch(of: "user:a"))
  }

  @Test(arguments: Engine.allCases) func aSharedRecordIsReadInEveryTopic(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      try bench.append("user:1", record("{\"own\":1}"))
      let shared = try bench.log.appendShared(expires: LogBench.start + 60_000, record: record("{\"all\":1}"), count: 3)
      for user in 0..<3 {
        let id = try bench.topic("user:\(user)")
        try bench.log.append(topic: id, offset: user == 1 ? 2 : 1, shared: shared)
      }
    }
    try bench.settle()
    for user in 0..<3 {
      let page = try bench.page("user:\(user)")
      #expect(page.rows.last?.record == record("{\"all\":1}"))
      #expect(page.through == (user == 1 ? 2 : 1))
    }
  }

  // MARK: Transactions

  @Test(arguments: Engine.allCases) func whatIsRolledBackNeverWas(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let device = try bench.transaction {
      try bench.append("user:a", key: key(7))
      try bench.log.hold(DelayedEvent(due: 5, topic: "user:a", hash: 3, content: 3, record: record()))
      return try bench.log.register(user: "a", device: "phone", platform: .ios, seen: 1)
    }
    let before = try bench.log.statistics()
    struct Refused: Error {}
    #expect(throws: Refused.self) {
      try bench.transaction {
        try bench.append("user:a", key: key(8, offset: 2))
        try bench.append("user:new", key: key(9))
        try bench.log.put(key(7, content: 99), topic: bench.topic("user:a"))
        try bench.log.put(StoredCursor(topic: 1, offset: 1), device: device)
        try bench.log.touch(device: device, platform: .web, seen: 2)
        _ = try bench.log.register(user: "a", device: "tablet", platform: .web, seen: 2)
        try bench.log.release(delayed: bench.log.due(nowMilliseconds: 10, limit: 1)[0].id)
        try bench.log.hold(DelayedEvent(due: 6, topic: "user:a", hash: 4, content: 4, record: record()))
        _ = try bench.log.expire(before: .max >> 22)
        // Seen from within.
        #expect(try bench.log.key(topic: 1, hash: 8) != nil)
        #expect(try bench.log.topic(named: "user:a")?.head == 2)
        throw Refused()
      }
    }
    #expect(try bench.log.topic(named: "user:a")?.head == 1)
    #expect(try bench.log.topic(named: "user:new") == nil)
    #expect(try bench.log.key(topic: 1, hash: 7)?.content == 1)
    #expect(try bench.log.key(topic: 1, hash: 8) == nil)
    #expect(try bench.log.cursors(of: device).isEmpty)
    #expect(try bench.log.devices(of: "a").map(\.device) == ["phone"])
    #expect(try bench.log.device(user: "a", device: "phone")?.seen == 1)
    #expect(try bench.log.due(nowMilliseconds: 10, limit: 9).map(\.hash) == [3])
    #expect(try bench.page("user:a").rows.map(\.offset) == [1])
    #expect(try bench.log.statistics().topics == before.topics)
    // And the place is free for what comes next.
    #expect(try bench.transaction { try bench.append("user:a") } == 2)
  }

  @Test(arguments: Engine.allCases) func reopeningForgetsNothingThatWasCommitted(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      for hash in 1...20 { try bench.append("user:a", key: key(UInt64(hash), offset: UInt64(hash))) }
    }
    try bench.log.begin()
    try bench.append("user:a")
    try bench.log.reopen()
    #expect(try bench.log.topic(named: "user:a")?.head == 20)
    #expect(try bench.log.key(topic: 1, hash: 20)?.offset == 20)
    #expect(try bench.page("user:a").rows.count == 20)
  }

  // MARK: Idempotency keys

  @Test(arguments: Engine.allCases) func aKeyIsFoundWhereverItLies(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let id = try bench.transaction { try bench.topic("user:a") }
    for hash in 1...30 {
      try bench.transaction {
        try bench.append("user:a", key: key(UInt64(hash), content: UInt64(hash) * 3, offset: UInt64(hash)))
        #expect(try bench.log.key(topic: id, hash: UInt64(hash))?.content == UInt64(hash) * 3)
      }
      for known in 1...30 {
        let found = try bench.log.key(topic: id, hash: UInt64(known))
        #expect(found == (known <= hash ? key(UInt64(known), content: UInt64(known) * 3, offset: UInt64(known)) : nil))
      }
      _ = try bench.log.maintain(rows: 2, before: LogBench.start)
    }
    // Its topic's alone.
    #expect(try bench.log.key(topic: 0, hash: 1) == nil)
  }

  @Test(arguments: Engine.allCases) func theKeyStoredLastCounts(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction { try bench.log.put(key(5, offset: 0), topic: 0) }
    try bench.settle()
    try bench.transaction { try bench.log.put(key(5, offset: 17), topic: 0) }
    #expect(try bench.log.key(topic: 0, hash: 5)?.offset == 17)
    try bench.transaction { for hash in 10...40 { try bench.log.put(key(UInt64(hash)), topic: 0) } }
    try bench.settle()
    #expect(try bench.log.key(topic: 0, hash: 5)?.offset == 17)
  }

  @Test(arguments: Engine.allCases) func keysGoWhenTheirTimeIsOver(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      for hash in 1...40 {
        let until = LogBench.start + (hash <= 20 ? 1000 : 10_000_000)
        try bench.log.put(key(UInt64(hash), until: until), topic: bench.topic("user:\(hash % 3)"))
      }
    }
    try bench.settle(before: LogBench.start + 2000)
    for hash in 1...40 {
      let topic = try bench.topic("user:\(hash % 3)")
      #expect((try bench.log.key(topic: topic, hash: UInt64(hash)) != nil) == (hash > 20))
    }
  }

  // MARK: Expiry and eviction

  @Test(arguments: Engine.allCases) func expiredEventsAreNotReadAndThenGone(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      for number in 1...30 {
        let expires = LogBench.start + (number % 3 == 0 ? 1000 : 60_000)
        try bench.append("user:a", record(type: number % 2 == 0 ? .chatMessage : .notification), expires: expires)
      }
    }
    let live = (1...30).filter { $0 % 3 != 0 }.map(UInt64.init)
    // Filtered before they are deleted …
    #expect(try bench.page("user:a", now: LogBench.start + 1000).rows.map(\.offset) == live)
    #expect(try bench.page("user:a", now: LogBench.start + 999).rows.count == 30)
    // … and the same after.
    let removed = try bench.transaction { try bench.log.expire(before: LogBench.start + 2000) }
    #expect(removed.events == 10)
    #expect(removed.byType[Int(EventType.chatMessage.rawValue)] == 5)
    try bench.settle(before: LogBench.start + 2000)
    let page = try bench.page("user:a")
    #expect(page.rows.map(\.offset) == live)
    #expect(page.through == 30)
    #expect(page.floor == 0)
    #expect(try bench.transaction { try bench.log.expire(before: LogBench.start + 2000) }.rows == 0)
  }

  @Test(arguments: Engine.allCases) func headsOutliveTheirEvents(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction { for _ in 1...30 { try bench.append("user:a", expires: LogBench.start + 1000) } }
    try bench.settle()
    #expect(try bench.transaction { try bench.log.expire(before: LogBench.start + 2000) }.events == 30)
    try bench.settle(before: LogBench.start + 2000)
    #expect(try bench.log.topic(named: "user:a")?.head == 30)
    #expect(try bench.page("user:a").through == 30)
    #expect(try bench.transaction { try bench.append("user:a") } == 31)
  }

  @Test(arguments: Engine.allCases) func expiryGoesInChunks(_ engine: Engine) throws {
    let bench = try LogBench(engine, mergeRows: 1 << 16)
    let many = StoreLimits.chunkRows + 10
    try bench.transaction { for _ in 0..<many { try bench.append("user:a", expires: LogBench.start + 1000) } }
    #expect(try bench.transaction { try bench.log.expire(before: LogBench.start + 2000) }.rows == StoreLimits.chunkRows)
    #expect(try bench.transaction { try bench.log.expire(before: LogBench.start + 2000) }.rows == 10)
  }

  @Test(arguments: Engine.allCases) func aBroadcastExpiresAsManyEvents(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      let shared = try bench.log.appendShared(expires: LogBench.start + 1000, record: record(), count: 3)
      for user in 0..<3 { try bench.log.append(topic: bench.topic("user:\(user)"), offset: 1, shared: shared) }
    }
    var events = 0
    for _ in 0..<3 { events += try bench.transaction { try bench.log.expire(before: LogBench.start + 2000) }.events }
    #expect(events == 3)
    #expect(try bench.page("user:1").rows.isEmpty)
    #expect(try bench.page("user:1").through == 1)
  }

  @Test(arguments: Engine.allCases) func evictionMovesTheFloorAndSparesTheHead(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction { for number in 1...30 { try bench.append("user:a", record("{\"n\":\(number)}")) } }
    let id = try bench.topic("user:a")
    #expect(try bench.log.bytes(of: id) == (1...30).reduce(0) { $0 + record("{\"n\":\($1)}").count })
    let (floor, removed) = try bench.transaction { try bench.log.evict(topic: id, upTo: 12, freeing: 0) }
    #expect(floor == 12)
    #expect(removed.events == 12)
    #expect(try bench.log.topic(named: "user:a") == StoredTopic(id: id, head: 30, floor: 12))
    try bench.settle()
    #expect(try bench.page("user:a").rows.map(\.offset) == Array(13...30))
    #expect(try bench.page("user:a").floor == 12)
    let (last, rest) = try bench.transaction { try bench.log.evict(topic: id, upTo: 30, freeing: 0) }
    #expect(last == 29)
    #expect(rest.events == 17)
    #expect(try bench.page("user:a").rows.map(\.offset) == [30])
  }

  @Test(arguments: Engine.allCases) func evictionGoesInChunks(_ engine: Engine) throws {
    let bench = try LogBench(engine, mergeRows: 300)
    let chunk = UInt64(StoreLimits.chunkRows)
    try bench.transaction { for _ in 0..<(chunk + 100) { try bench.append("user:a") } }
    try bench.settle()
    try bench.transaction { for _ in 0..<100 { try bench.append("user:a") } }
    let id = try bench.topic("user:a")
    #expect(try bench.transaction { try bench.log.evict(topic: id, upTo: chunk + 150, freeing: 0) }.floor == chunk)
    #expect(
      try bench.transaction { try bench.log.evict(topic: id, upTo: chunk + 150, freeing: 0) }.floor == chunk + 150)
    #expect(try bench.page("user:a").rows.map(\.offset) == Array((chunk + 151)...(chunk + 200)))
  }

  @Test(arguments: Engine.allCases) func evictingFromOneInboxLeavesTheOthersTheirCopy(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    try bench.transaction {
      let shared = try bench.log.appendShared(expires: LogBench.start + 60_000, record: record("{\"s\":1}"), count: 2)
      for user in 0..<2 { try bench.log.append(topic: bench.topic("user:\(user)"), offset: 1, shared: shared) }
      try bench.append("user:0")
    }
    #expect(
      try bench.transaction { try bench.log.evict(topic: bench.topic("user:0"), upTo: 1, freeing: 0) }.removed.events
        == 1)
    #expect(try bench.page("user:0").rows.map(\.offset) == [2])
    #expect(try bench.page("user:1").rows.map(\.record) == [record("{\"s\":1}")])
  }

  @Test(arguments: Engine.allCases) func theTailIsBeforeTheOldestThatLives(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let id = try bench.transaction { try bench.topic("user:a") }
    #expect(try bench.log.tail(of: id, nowMilliseconds: LogBench.start) == 0)
    try bench.transaction {
      for number in 1...30 { try bench.append("user:a", expires: LogBench.start + (number <= 12 ? 1000 : 60_000)) }
    }
    for _ in 0..<2 {
      #expect(try bench.log.tail(of: id, nowMilliseconds: LogBench.start) == 0)
      #expect(try bench.log.tail(of: id, nowMilliseconds: LogBench.start + 1000) == 12)
      #expect(try bench.log.tail(of: id, nowMilliseconds: LogBench.start + 60_000) == 30)
      try bench.settle()
    }
    try bench.transaction { _ = try bench.log.evict(topic: id, upTo: 20, freeing: 0) }
    #expect(try bench.log.tail(of: id, nowMilliseconds: LogBench.start) == 20)
  }

  // MARK: Devices

  @Test(arguments: Engine.allCases) func devicesKeepTheirCursorsUntilForgotten(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let (phone, tablet) = try bench.transaction {
      (
        try bench.log.register(user: "a", device: "phone", platform: .ios, seen: 30),
        try bench.log.register(user: "a", device: "tablet", platform: .android, seen: 20)
      )
    }
    _ = try bench.transaction { try bench.log.register(user: "b", device: "phone", platform: .web, seen: 10) }
    #expect(try bench.log.device(user: "a", device: "phone")?.id == phone)
    #expect(try bench.log.device(user: "a", device: "desk") == nil)
    #expect(try bench.log.devices(of: "a").map(\.id) == [tablet, phone])
    try bench.transaction {
      try bench.log.put(StoredCursor(topic: 1, offset: 5), device: phone)
      try bench.log.put(StoredCursor(topic: 2, offset: 7), device: phone)
      try bench.log.put(StoredCursor(topic: 1, offset: 6), device: phone)
      try bench.log.touch(device: tablet, platform: .web, seen: 40)
    }
    #expect(
      try bench.log.cursors(of: phone).sorted { $0.topic < $1.topic }
        == [StoredCursor(topic: 1, offset: 6), StoredCursor(topic: 2, offset: 7)])
    #expect(try bench.log.devices(of: "a").map(\.id) == [phone, tablet])
    #expect(try bench.log.devices(after: 0).map(\.id) == [phone, tablet, tablet + 1])
    #expect(try bench.log.devices(after: phone).map(\.id) == [tablet, tablet + 1])
    try bench.transaction { try bench.log.forget(device: phone) }
    #expect(try bench.log.device(user: "a", device: "phone") == nil)
    #expect(try bench.log.cursors(of: phone).isEmpty)
    let again = try bench.transaction { try bench.log.register(user: "a", device: "phone", platform: .ios, seen: 50) }
    #expect(again > tablet + 1, "a number is never used again")
  }

  @Test(arguments: Engine.allCases) func aDeviceKeepsWhatItsPollsAreOf(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let page = try bench.transaction {
      let page = try bench.log.register(user: "a", device: "conn", platform: .unknown, seen: 30, isPassing: true)
      try bench.log.note(polled: "user:a,chat:c", device: page)
      return page
    }
    try bench.log.begin()
    try bench.log.note(polled: "user:a", device: page)
    bench.log.rollback()
    try bench.transaction { try bench.log.touch(device: page, platform: .web, seen: 40) }
    let kept = StoredDevice(
      id: page, device: "conn", platform: .web, seen: 40, isPassing: true, polled: "user:a,chat:c")
    #expect(try bench.log.device(user: "a", device: "conn") == kept)
    #expect(try bench.log.devices(of: "a") == [kept] && bench.log.devices(after: 0) == [kept])
    try bench.transaction { try bench.log.forget(device: page) }
    try bench.transaction { try bench.log.note(polled: "user:a", device: page) }
    #expect(try bench.log.device(user: "a", device: "conn") == nil)
  }

  @Test(arguments: Engine.allCases) func aCursorIsKeptForATopicThatHasNoRow(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let awaited = bench.log.identity.awaited("feed:news")
    #expect(awaited < 0 && awaited != bench.log.identity.awaited("feed:new"))
    let phone = try bench.transaction {
      let phone = try bench.log.register(user: "a", device: "phone", platform: .ios, seen: 30)
      try bench.log.put(StoredCursor(topic: awaited, offset: 0, used: 40), device: phone)
      try bench.log.put(StoredCursor(topic: bench.topic("user:a"), offset: 0, used: 30), device: phone)
      try bench.log.put(StoredCursor(topic: bench.topic("user:a"), offset: 0, used: 50), device: phone)
      return phone
    }
    #expect(
      try bench.log.cursors(of: phone).sorted { $0.topic < $1.topic }
        == [StoredCursor(topic: awaited, offset: 0, used: 40), StoredCursor(topic: 1, offset: 0, used: 50)])
    #expect(try bench.log.reader().devices(of: "feed:news", limit: 9).map(\.cursor) == [0])
    // Its number is the same in every generation.
    try bench.log.mint(nowMilliseconds: LogBench.start)
    #expect(bench.log.identity.awaited("feed:news") == awaited)
    #expect(try bench.log.cursors(of: phone).count == 2)
    #expect(try bench.log.topic(named: "feed:news") == nil)
  }

  @Test(arguments: Engine.allCases) func oneCursorOfADeviceIsForgotten(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let phone = try bench.transaction {
      let phone = try bench.log.register(user: "a", device: "phone", platform: .ios, seen: 30)
      for topic in 1...3 { try bench.log.put(StoredCursor(topic: TopicID(topic), offset: 1), device: phone) }
      return phone
    }
    struct Refused: Error {}
    #expect(throws: Refused.self) {
      try bench.transaction {
        try bench.log.forget(cursor: 2, device: phone)
        throw Refused()
      }
    }
    #expect(try bench.log.cursors(of: phone).count == 3)
    try bench.transaction {
      try bench.log.forget(cursor: 2, device: phone)
      try bench.log.forget(cursor: 9, device: phone)
    }
    #expect(try bench.log.cursors(of: phone).map(\.topic).sorted() == [1, 3])
  }

  // MARK: Delayed events

  @Test(arguments: Engine.allCases) func delayedEventsComeInTheOrderTheyAreDue(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    #expect(try bench.log.nextDue() == nil)
    try bench.transaction {
      for (number, due) in [300, 100, 200, 100].enumerated() {
        try bench.log.hold(
          DelayedEvent(
            due: Int64(due), topic: "user:\(number)", hash: 9, content: 8, record: record("{\"n\":\(number)}")))
      }
    }
    #expect(try bench.log.nextDue() == 100)
    #expect(try bench.log.due(nowMilliseconds: 99, limit: 9).isEmpty)
    let due = try bench.log.due(nowMilliseconds: 200, limit: 9)
    #expect(due.map(\.topic) == ["user:1", "user:3", "user:2"])
    #expect(due.map(\.due) == [100, 100, 200])
    #expect(due[2].record == record("{\"n\":2}"))
    #expect(try bench.log.due(nowMilliseconds: 200, limit: 1).map(\.topic) == ["user:1"])
    try bench.transaction { for event in due { try bench.log.release(delayed: event.id) } }
    #expect(try bench.log.nextDue() == 300)
  }

  // MARK: Generations

  @Test(arguments: Engine.allCases) func aNewGenerationKeepsOffsetsAndChangesEpochs(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let device = try bench.transaction {
      for hash in 1...5 { try bench.append("user:a", key: key(UInt64(hash), offset: UInt64(hash))) }
      let device = try bench.log.register(user: "a", device: "phone", platform: .ios, seen: 1)
      try bench.log.put(StoredCursor(topic: 1, offset: 3), device: device)
      return device
    }
    let before = bench.log.identity
    try bench.log.mint(nowMilliseconds: LogBench.start)
    #expect(bench.log.identity.generation > before.generation)
    #expect(bench.log.identity.epoch(of: "user:a") != before.epoch(of: "user:a"))
    #expect(bench.log.identity.idempotencyKey == before.idempotencyKey)
    #expect(try bench.log.topic(named: "user:a")?.head == 5)
    #expect(try bench.page("user:a").rows.count == 5)
    #expect(try bench.log.cursors(of: device) == [StoredCursor(topic: 1, offset: 3)])
    #expect(try bench.log.key(topic: 1, hash: 2)?.offset == 2)
  }

  @Test(arguments: Engine.allCases) func aNewGenerationTakesCursorsBackToTheHead(_ engine: Engine) throws {
    let bench = try LogBench(engine)
    let device = try bench.transaction {
      for _ in 1...5 { try bench.append("user:a") }
      let device = try bench.log.register(user: "a", device: "phone", platform: .ios, seen: 1)
      try bench.log.put(StoredCursor(topic: bench.topic("user:a"), offset: 900), device: device)
      try bench.log.put(StoredCursor(topic: bench.topic("chat:empty"), offset: 9), device: device)
      return device
    }
    try bench.log.mint(nowMilliseconds: LogBench.start)
    #expect(try Set(bench.log.cursors(of: device).map(\.offset)) == [5, 0])
  }
}
