import AvaloCore
import Dispatch
import Foundation
import GRDB

/// The connection registry and when each user was last seen, in a SQLite file of the worker's own.
///
/// Used through its own queue, never on a loop. The lock beside the file is taken before it is opened: one owner.
final class PresenceStore: Sendable {
  private let database: DatabaseQueue
  private let lockDescriptor: Int32
  private let queue = DispatchQueue(label: "presence-store")

  init(path: String) throws {
    lockDescriptor = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lockDescriptor >= 0 else { throw PresenceStoreError("\(path).lock: \(String(cString: strerror(errno)))") }
    guard flock(lockDescriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw PresenceStoreError("\(path) belongs to another process: two presence workers on one state directory?")
    }
    var configuration = Configuration()
    configuration.prepareDatabase { db in
      try db.execute(sql: "PRAGMA journal_mode = WAL")
      try db.execute(sql: "PRAGMA synchronous = NORMAL")
      try db.execute(sql: "PRAGMA cache_size = -\(PresenceLimits.cacheKiB)")
    }
    do {
      database = try DatabaseQueue(path: path, configuration: configuration)
      let migrator = PresenceStore.migrator
      if try database.read({ try migrator.hasBeenSuperseded($0) }) {
        throw PresenceStoreError("\(path) was written by a newer release: run that, or move the file aside")
      }
      try migrator.migrate(database)
    } catch let error as DatabaseError {
      throw PresenceStoreError("\(path) cannot be used (\(error)): move it aside; presence is learnt anew")
    }
  }

  deinit { close(lockDescriptor) }

  private static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { db in
      try db.execute(
        sql: """
          CREATE TABLE connections (
            incarnation INTEGER NOT NULL, session INTEGER NOT NULL,
            user TEXT NOT NULL, device TEXT NOT NULL, platform INTEGER NOT NULL, connection TEXT NOT NULL,
            connected INTEGER NOT NULL, seen INTEGER NOT NULL,
            PRIMARY KEY (incarnation, session)
          ) WITHOUT ROWID;
          CREATE TABLE users (id TEXT PRIMARY KEY, seen INTEGER NOT NULL, platform INTEGER NOT NULL) WITHOUT ROWID;
          """)
    }
    return migrator
  }

  /// Every row, at the start.
  func load() throws -> [(key: Board.Key, connection: Board.Connection)] {
    try database.read { db in
      try Row.fetchAll(db, sql: "SELECT * FROM connections").map { row in
        (
          key: Board.Key(
            incarnation: UInt64(bitPattern: row["incarnation"] as Int64),
            session: UInt64(bitPattern: row["session"] as Int64)),
          connection: Board.Connection(
            user: row["user"], device: row["device"],
            platform: Platform(rawValue: UInt8(row["platform"] as Int)) ?? .unknown,
            connectionID: row["connection"], connectedMilliseconds: row["connected"], seenMilliseconds: row["seen"],
            isConfirmed: false)
        )
      }
    }
  }

  /// Writes a batch in one transaction, later; `done` is called on the queue.
  func write(_ changes: [Board.Change], done: @escaping @Sendable (Result<Void, any Error>) -> Void) {
    queue.async {
      done(Result { try self.database.write { db in for change in changes { try Self.apply(change, db) } } })
    }
  }

  /// When users were last seen who are not here now; 0 for those never seen.
  func lastSeen(_ users: [String], done: @escaping @Sendable ([(seen: Int64, platform: Platform)]) -> Void) {
    queue.async {
      // A file that cannot be read knows nobody; the next write says what is wrong with it.
      let found = try? self.database.read { db in
        let statement = try db.cachedStatement(sql: "SELECT seen, platform FROM users WHERE id = ?")
        return try users.map { user -> (seen: Int64, platform: Platform) in
          guard let row = try Row.fetchOne(statement, arguments: [user]) else { return (0, .unknown) }
          return (row[0], Platform(rawValue: UInt8(row[1] as Int)) ?? .unknown)
        }
      }
      done(found ?? users.map { _ in (0, .unknown) })
    }
  }

  /// Waits for what was queued, then closes.
  func finish() {
    queue.sync { try? database.close() }
  }

  private static func apply(_ change: Board.Change, _ db: Database) throws {
    switch change {
    case .opened(let key, let connection):
      try db.cachedStatement(sql: "INSERT OR REPLACE INTO connections VALUES (?, ?, ?, ?, ?, ?, ?, ?)").execute(
        arguments: [
          Int64(bitPattern: key.incarnation), Int64(bitPattern: key.session), connection.user, connection.device,
          Int(connection.platform.rawValue), connection.connectionID, connection.connectedMilliseconds,
          connection.seenMilliseconds,
        ])
    case .closed(let key):
      try db.cachedStatement(sql: "DELETE FROM connections WHERE incarnation = ? AND session = ?").execute(arguments: [
        Int64(bitPattern: key.incarnation), Int64(bitPattern: key.session),
      ])
    case .seen(let key, let seen):
      try db.cachedStatement(sql: "UPDATE connections SET seen = ? WHERE incarnation = ? AND session = ?").execute(
        arguments: [
          seen, Int64(bitPattern: key.incarnation), Int64(bitPattern: key.session),
        ])
    case .user(let user, let seen, let platform):
      try db.cachedStatement(sql: "INSERT OR REPLACE INTO users VALUES (?, ?, ?)").execute(arguments: [
        user, seen, Int(platform.rawValue),
      ])
    }
  }
}

/// Why the registry's file cannot be used.
struct PresenceStoreError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
