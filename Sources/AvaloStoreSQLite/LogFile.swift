import AvaloCore
import AvaloStore
import Foundation
import GRDB

/// Where a log lies and how it is to be kept.
public struct LogFile: Sendable {
  public var path: String
  public var durability: Durability
  /// The machine's present boot: another one than last time, without a clean close, may have lost what was committed.
  public var bootID: String

  public init(path: String, durability: Durability, bootID: String = LogFile.bootID()) {
    self.path = path
    self.durability = durability
    self.bootID = bootID
  }

  /// Source: random(4), "/proc interfaces".
  public static func bootID() -> String {
    let text = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
    return text?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown"
  }

  /// What it takes on the disk, the write-ahead log included.
  var bytes: Int {
    ["", "-wal"].reduce(0) { sum, suffix in
      var status = stat()
      return stat(path + suffix, &status) == 0 ? sum + Int(status.st_size) : sum
    }
  }

  /// Checks that the file is ours, brings its shape up to date, and decides whether its generation still holds.
  func prepare(
    _ connection: Connection, nowMilliseconds: Int64, generator: inout some RandomNumberGenerator
  ) throws(LogError) -> LogMarks {
    try checkOwner(connection)
    try connection.execute("PRAGMA journal_mode = WAL")
    try migrate()
    // The marks below must be on the disk before the first event is accepted, whatever the durability.
    try connection.execute("PRAGMA synchronous = FULL")
    let stored = try LogMarks.read(connection)
    var marks =
      stored
      ?? LogMarks(
        identity: .first(nowMilliseconds: nowMilliseconds, using: &generator), boot: bootID, durability: durability)
    if let stored, stored.mayHaveLost(since: bootID) {
      marks.identity = stored.identity.next(nowMilliseconds: nowMilliseconds, using: &generator)
    }
    marks.clock?.isThisBoot = marks.boot == bootID
    marks.boot = bootID
    marks.durability = durability
    marks.clean = false
    try connection.execute("BEGIN IMMEDIATE")
    do {
      if marks.identity != stored?.identity { try LogMarks.clampCursors(connection) }
      try marks.write(connection)
      try connection.execute("COMMIT")
    } catch {
      if connection.isInTransaction { try connection.execute("ROLLBACK") }
      throw error
    }
    return marks
  }

  func checkOwner(_ connection: Connection) throws(LogError) {
    let application = try connection.integer("PRAGMA application_id")
    let tables = try connection.integer("SELECT count(*) FROM sqlite_schema")
    guard application == LogSchema.applicationID || (application == 0 && tables == 0) else {
      throw .foreign(path: path)
    }
  }

  private func migrate() throws(LogError) {
    guard try !isOfALaterRelease() else { throw .newerSchema(path: path) }
    try withDatabase { try LogSchema.migrator.migrate($0) }
  }

  func isOfALaterRelease() throws(LogError) -> Bool {
    try withDatabase { try $0.read { try LogSchema.migrator.hasBeenSuperseded($0) } }
  }

  /// Does something over GRDB, which knows how to migrate.
  private func withDatabase<Value>(_ body: (DatabaseQueue) throws -> Value) throws(LogError) -> Value {
    do {
      let queue = try DatabaseQueue(path: path)
      let value = try body(queue)
      try queue.close()
      return value
    } catch let error as DatabaseError {
      switch error.resultCode {
      case .SQLITE_FULL: throw .full("\(path): \(error)")
      case .SQLITE_CORRUPT, .SQLITE_NOTADB: throw .corrupt(path: path, detail: error.message ?? "\(error.resultCode)")
      default: throw .unavailable("\(path): \(error)")
      }
    } catch {
      throw .unavailable("\(path): \(error)")
    }
  }
}

/// The one row that says which log this is and how it was left.
struct LogMarks {
  var identity: LogIdentity
  var boot: String
  var durability: Durability
  /// Closed in good order, and that is on the disk.
  var clean = false
  var clock: ClockMark?

  init(identity: LogIdentity, boot: String, durability: Durability) {
    self.identity = identity
    self.boot = boot
    self.durability = durability
  }

  /// In the place of a boot's id: this is a copy, and the original went on.
  static let copied = "copy"

  /// Whether commits may have vanished: the machine went down under a log whose commits did not wait for the disk, or
  /// this is a copy that was put in the place of its original.
  func mayHaveLost(since bootID: String) -> Bool {
    boot == LogMarks.copied || !clean && boot != bootID && durability != .disk
  }

  static func read(_ connection: Connection) throws(LogError) -> LogMarks? {
    let row = try connection.prepare(
      "SELECT generation, epochLow, epochHigh, keyLow, keyHigh, boot, durability, clean, trusted, monotonic FROM log")
    guard try row.step() else { return nil }
    var marks = LogMarks(
      identity: LogIdentity(
        generation: UInt32(truncatingIfNeeded: row.integer(0)),
        epochKey: SipHash.Key(low: row.unsigned(1), high: row.unsigned(2)),
        idempotencyKey: SipHash.Key(low: row.unsigned(3), high: row.unsigned(4))),
      boot: row.text(5), durability: Durability(rawValue: UInt8(truncatingIfNeeded: row.integer(6))) ?? .os)
    marks.clean = row.integer(7) == 1
    if row.integer(8) > 0 { marks.clock = ClockMark(trusted: row.integer(8), monotonic: row.integer(9)) }
    row.reset()
    return marks
  }

  func write(_ connection: Connection) throws(LogError) {
    try connection.prepare("INSERT OR REPLACE INTO log VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .bind(1, Int64(identity.generation))
      .bind(2, identity.epochKey.low).bind(3, identity.epochKey.high)
      .bind(4, identity.idempotencyKey.low).bind(5, identity.idempotencyKey.high)
      .bind(6, boot).bind(7, Int64(durability.rawValue)).bind(8, clean ? 1 : 0 as Int64)
      .bind(9, clock?.trusted ?? 0).bind(10, clock?.monotonic ?? 0)
      .run()
  }

  /// Cursors of an older generation go on at the same offsets, but never beyond the head. Cursor and head come from one
  /// file and one commit, so this is to find nothing; a cursor ahead of its head would skip events without a word.
  static func clampCursors(_ connection: Connection) throws(LogError) {
    try connection.execute(
      """
      CREATE TEMP TABLE recentHeads (topic INTEGER PRIMARY KEY, head INTEGER NOT NULL);
      INSERT INTO recentHeads SELECT topic, max(position) FROM recent WHERE event != 0 GROUP BY topic;
      UPDATE cursors SET position = max(
          coalesce((SELECT max(position) FROM positions WHERE topic = cursors.topic), 0),
          coalesce((SELECT head FROM recentHeads WHERE topic = cursors.topic), 0))
        WHERE position > coalesce((SELECT max(position) FROM positions WHERE topic = cursors.topic), 0)
          AND position > coalesce((SELECT head FROM recentHeads WHERE topic = cursors.topic), 0);
      DROP TABLE recentHeads;
      """)
  }
}
