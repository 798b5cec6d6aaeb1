import AvaloCore
import AvaloStore
import Testing

@testable import AvaloStoreSQLite

/// Random work on a log with a file, cut off at random, beside a model that forgets nothing it was told is committed.
@Suite struct EventLogModelTests {
  private struct Model {
    struct Event: Equatable {
      var expires: Int64
      var record: [UInt8]
    }
    var events: [String: [UInt64: Event]] = [:]
    var heads: [String: UInt64] = [:]
    var floors: [String: UInt64] = [:]
    var keys: [String: [UInt64: StoredKey]] = [:]
  }

  @Test(arguments: 1...12) func agreesWithItsModelThroughCrashes(seed: UInt64) throws {
    var random = Seeded(seed)
    let folder = Folder()
    let mergeRows = Int.random(in: 4...60, using: &random)
    func open() throws -> SQLiteEventLog {
      try SQLiteEventLog(
        LogFile(path: folder.file, durability: .os, bootID: "boot"), nowMilliseconds: LogBench.start,
        generator: SystemRandomNumberGenerator(), mergeRows: mergeRows, lockMilliseconds: 0)
    }
    let names = (0..<5).map { "user:\($0)" }
    var log: SQLiteEventLog? = try open()
    var model = Model()
    var now = LogBench.start
    var hash: UInt64 = 0

    for _ in 0..<300 {
      now += Int64.random(in: 0...300, using: &random)
      switch Int.random(in: 0..<20, using: &random) {
      case 0:
        if Bool.random(using: &random) { try? log!.begin() }
        log = nil
        log = try open()
      case 1: try log!.reopen()
      case 2...5:
        for _ in 0..<Int.random(in: 1...6, using: &random) { _ = try log!.maintain(rows: 5, before: now) }
      case 6:
        try log!.begin()
        _ = try log!.expire(before: now)
        try log!.commit()
      case 7:
        let name = names.randomElement(using: &random)!
        guard let topic = try log!.topic(named: name), topic.head > 2 else { continue }
        let target = UInt64.random(in: topic.floor...(topic.head - 1), using: &random)
        try log!.begin()
        let evicted = try log!.evict(topic: topic.id, upTo: target, freeing: 0)
        try log!.commit()
        model.floors[name] = max(model.floors[name] ?? 0, evicted.floor)
        #expect(evicted.floor == max(target, topic.floor))
      default:
        var next = model
        try log!.begin()
        for _ in 0..<Int.random(in: 1...8, using: &random) {
          let name = names.randomElement(using: &random)!
          let found = try log!.topic(named: name)
          let id = if let found { found.id } else { try log!.createTopic(named: name) }
          #expect(found?.head ?? 0 == next.heads[name] ?? 0)
          let offset = (next.heads[name] ?? 0) + 1
          hash += 1
          let event = Model.Event(
            expires: now + Int64.random(in: 1...5000, using: &random), record: record("{\"h\":\(hash)}"))
          let key = StoredKey(hash: hash, content: hash, offset: offset, accepted: now, until: now + 1_000_000)
          try log!.append(topic: id, offset: offset, expires: event.expires, record: event.record, key: key)
          next.heads[name] = offset
          next.events[name, default: [:]][offset] = event
          next.keys[name, default: [:]][hash] = key
        }
        if Int.random(in: 0..<5, using: &random) == 0 {
          log!.rollback()
        } else {
          try log!.commit()
          model = next
        }
      }
      try check(log!, model, now: now, names: names)
    }
  }

  private func check(_ log: SQLiteEventLog, _ model: Model, now: Int64, names: [String]) throws {
    let reader = try log.reader()
    for name in names {
      let head = model.heads[name] ?? 0
      let topic = try log.topic(named: name)
      #expect(topic?.head ?? 0 == head)
      let request = ReadRequest(
        topic: name, epoch: log.identity.epoch(of: name), after: 0, upTo: head, bytesMax: 1 << 20, nowMilliseconds: now)
      guard case .page(let page) = try reader.read(request) else {
        Issue.record("another epoch")
        return
      }
      let floor = model.floors[name] ?? 0
      let expected = (model.events[name] ?? [:]).filter { $0.key > floor && $0.value.expires > now }
      #expect(page.rows.map(\.offset) == expected.keys.sorted())
      for row in page.rows { #expect(row.record == expected[row.offset]?.record) }
      #expect(page.through == head)
      for (hash, key) in model.keys[name] ?? [:] { #expect(try log.key(topic: topic!.id, hash: hash) == key) }
    }
  }
}

/// The same numbers for the same seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
