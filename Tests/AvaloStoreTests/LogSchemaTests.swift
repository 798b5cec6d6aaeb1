import AvaloCore
import AvaloStore
import Foundation
import GRDB
import Testing

@testable import AvaloStoreSQLite

/// Files of every release before: what they hold is there when this release opens them.
@Suite struct LogSchemaTests {
  /// The shapes that files have had, oldest first; the last is the present one.
  static let shapes = LogSchema.migrator.migrations

  private let folder = Folder()
  private let boot = "boot"
  /// ann's phone read up to 2 of the chat's three events; the third waits in `recent`.
  private let chatEvents: [UInt64] = [1, 2, 3]

  @Test func theShapesAreKnown() {
    // A migration that was released never changes its name or its place.
    #expect(
      LogSchemaTests.shapes == [
        "1", "access", "clock", "reads", "broadcasts", "versions", "followers", "cursors", "requests", "passing",
        "began", "polled",
      ])
  }

  @Test(arguments: LogSchemaTests.shapes) func everythingOfAnOlderFileIsThere(shape: String) throws {
    let identity = try write(shape)
    let log = try open()
    #expect(log.identity == identity, "the same generation: clients go on where they are")

    // Events, merged and not, with their keys.
    let chat = try #require(try log.topic(named: "chat:c"))
    #expect(chat == StoredTopic(id: 1, head: 3, floor: 0))
    let request = ReadRequest(
      topic: "chat:c", epoch: identity.epoch(of: "chat:c"), after: 0, upTo: .max, bytesMax: 1 << 20,
      nowMilliseconds: LogBench.start)
    guard case .page(let page) = try log.reader().read(request) else {
      Issue.record("another epoch")
      return
    }
    #expect(page.rows.map(\.offset) == chatEvents)
    #expect(page.rows.map(\.record) == chatEvents.map { record(#"{"n":\#($0)}"#, id: "e\($0)") })
    for offset in chatEvents { #expect(try log.key(topic: 1, hash: offset)?.offset == offset) }
    #expect(try log.topic(named: "user:old") == StoredTopic(id: 2, head: 9, floor: 4), "a head outlives its events")

    // Devices, cursors, what is held.
    let phone = try #require(try log.device(user: "ann", device: "phone"))
    #expect(phone.platform == .ios && phone.seen == LogBench.start && !phone.isPassing && phone.polled.isEmpty)
    #expect(try log.cursors(of: phone.id) == [StoredCursor(topic: 1, offset: 2, used: 0)])
    let held = try #require(try log.due(nowMilliseconds: LogBench.start + 5000, limit: 9).first)
    #expect(held.topic == "user:zoe" && held.hash == 77 && held.record == record(id: "held"))
    #expect(try log.delayed(topic: "user:zoe", hash: 77) == held.id)

    if has("access", shape) {
      #expect(try log.accessPosition() == 5)
      #expect(try log.member("ann", of: 1) == 2)
      #expect(try log.revocations().map(\.target) == [.user("mal")])
    }
    if has("clock", shape) { #expect(log.clockMark?.trusted == LogBench.start) }
    if has("reads", shape) {
      #expect(try log.marker(of: "ann", in: 1)?.upTo == 2)
      #expect(try log.messages(of: 1, in: 1, after: 0, upTo: .max, limit: 9).map(\.offset) == [1, 2])
    }
    if has("broadcasts", shape) { #expect(try log.unfinishedBroadcasts().map(\.eventID) == ["b1"]) }
    if has("followers", shape) { #expect(try log.followers().map(\.name) == ["webhook"]) }
    try goesOn(log, phone.id)
  }

  /// And it is a log like any other from then on.
  private func goesOn(_ log: SQLiteEventLog, _ phone: DeviceID) throws {
    try log.begin()
    try log.append(
      topic: 1, offset: 4, expires: LogBench.start + 60_000, record: record(id: "new"), key: key(4, offset: 4),
      message: ChatMessage(chat: 1, message: 44, source: 0))
    try log.put(StoredCursor(topic: 1, offset: 4, used: LogBench.start), device: phone)
    try log.put(StoredMember(user: "bob", since: 4), topic: 1)
    try log.put(StoredFollower(name: "archive", types: EventTypes([.notification]), acknowledged: 4, seen: 1))
    try log.commit()
    for round in 0..<50 { _ = try log.maintain(rows: 2, before: LogBench.start - Int64(round & 1)) }
    #expect(try log.topic(named: "chat:c")?.head == 4)
    #expect(try log.key(topic: 1, hash: 3)?.offset == 3 && log.key(topic: 1, hash: 4)?.offset == 4)
    #expect(try log.cursors(of: phone) == [StoredCursor(topic: 1, offset: 4, used: LogBench.start)])
    #expect(try log.messages(of: 1, in: 1, after: 3, upTo: .max, limit: 9).map(\.message) == [44])
  }

  // MARK: - An older file

  private func open() throws -> SQLiteEventLog {
    try SQLiteEventLog(
      LogFile(path: folder.file, durability: .os, bootID: boot), nowMilliseconds: LogBench.start,
      generator: SystemRandomNumberGenerator(), mergeRows: 2, lockMilliseconds: 0)
  }

  /// Whether a file of that shape has had the migration.
  private func has(_ migration: String, _ shape: String) -> Bool {
    guard let had = LogSchemaTests.shapes.firstIndex(of: migration),
      let shape = LogSchemaTests.shapes.firstIndex(of: shape)
    else { return false }
    return had <= shape
  }

  /// As the release that had that shape left it.
  private func write(_ shape: String) throws -> LogIdentity {
    var random = SystemRandomNumberGenerator()
    let identity = LogIdentity.first(nowMilliseconds: LogBench.start, using: &random)
    let queue = try DatabaseQueue(path: folder.file)
    try LogSchema.migrator.migrate(queue, upTo: shape)
    try queue.write { db in
      try db.execute(
        sql: """
          INSERT INTO log (id, generation, epochLow, epochHigh, keyLow, keyHigh, boot, durability, clean)
          VALUES (1, ?, ?, ?, ?, ?, ?, ?, 1)
          """,
        arguments: [
          Int64(identity.generation), Int64(bitPattern: identity.epochKey.low),
          Int64(bitPattern: identity.epochKey.high), Int64(bitPattern: identity.idempotencyKey.low),
          Int64(bitPattern: identity.idempotencyKey.high), boot, Int64(Durability.os.rawValue),
        ])
      try db.execute(sql: "INSERT INTO topics (id, name, floor) VALUES (1, 'chat:c', 0), (2, 'user:old', 4)")
      for offset in chatEvents { try write(event: offset, to: db) }
      try db.execute(sql: "INSERT INTO positions VALUES (2, 9, 1)")
      try db.execute(
        sql: "INSERT INTO devices (id, user, device, platform, seen) VALUES (7, 'ann', 'phone', ?, ?)",
        arguments: [Int64(Platform.ios.rawValue), LogBench.start])
      try db.execute(sql: "INSERT INTO cursors (device, topic, position) VALUES (7, 1, 2)")
      try db.execute(
        sql: "INSERT INTO delayed VALUES (?, 'user:zoe', 77, 8, ?)",
        arguments: [(LogBench.start + 5000) << SQLiteLimits.eventNumberBits, Data(record(id: "held"))])
      try writeLater(shape, to: db)
    }
    try queue.close()
    return identity
  }

  private func write(event offset: UInt64, to db: Database) throws {
    let position = Int64(offset)
    let id = (LogBench.start + 60_000) << SQLiteLimits.eventNumberBits | position
    let key: [Int64] = [position, 1, LogBench.start, LogBench.start + 600_000]
    try db.execute(
      sql: "INSERT INTO events VALUES (?, 1, ?, ?)",
      arguments: [id, position, Data(record(#"{"n":\#(offset)}"#, id: "e\(offset)"))])
    guard offset == 3 else {
      try db.execute(sql: "INSERT INTO positions VALUES (1, ?, ?)", arguments: [position, id])
      try db.execute(
        sql: "INSERT INTO keys VALUES (1, ?, ?, ?, ?, ?)", arguments: [key[0], key[1], position, key[2], key[3]])
      return
    }
    try db.execute(
      sql: """
        INSERT INTO recent (seq, topic, position, event, hash, content, accepted, until) VALUES (3, 1, ?, ?, ?, ?, ?, ?)
        """, arguments: [position, id, key[0], key[1], key[2], key[3]])
  }

  private func writeLater(_ shape: String, to db: Database) throws {
    if has("access", shape) {
      try db.execute(
        sql: """
          UPDATE access SET position = 5;
          INSERT INTO members VALUES (1, 'ann', 2);
          INSERT INTO revocations VALUES (1, 'mal', 1, 9000000000000);
          """)
    }
    if has("clock", shape) {
      try db.execute(sql: "UPDATE log SET trusted = ?, monotonic = 5", arguments: [LogBench.start])
    }
    if has("reads", shape) {
      for offset: Int64 in [1, 2] {
        let id = (LogBench.start + 60_000) << SQLiteLimits.eventNumberBits | offset
        try db.execute(
          sql: "INSERT INTO messages VALUES (1, 1, ?, ?, ?, ?, 0)", arguments: [offset, offset, id, 100 + offset])
      }
      try db.execute(
        sql: "INSERT INTO markers (user, chat, upTo, version, moved, message) VALUES ('ann', 1, 2, 2, ?, 'e2')",
        arguments: [LogBench.start])
    }
    if has("broadcasts", shape) {
      try db.execute(
        sql: "INSERT INTO broadcasts VALUES (9, 'shop', 'b1', 1, 1, 1, 10, 0, 0, 0, ?, 0, 0, 0)",
        arguments: [LogBench.start])
    }
    if has("followers", shape) {
      try db.execute(sql: "INSERT INTO followers VALUES ('webhook', 2, 1, 0, ?)", arguments: [LogBench.start])
    }
  }
}
