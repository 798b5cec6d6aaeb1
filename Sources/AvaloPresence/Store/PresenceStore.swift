import AvaloCore
import Dispatch
import Foundation
import GRDB

/// The connection registry and when each user was last seen, in a SQLite file of the worker's own.
///
/// Used through its own queue, never on a loop. The lock beside the file is taken before it is opened: one owner.
final class PresenceStore: Sendable {
  let path: String
  private let database: DatabaseQueue
  private let lockDescriptor: Int32
  private let queue = DispatchQueue(label: "presence-store")

  init(path: String) throws {
    self.path = path
    lockDescriptor = Glibc.open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lockDescriptor >= 0 else { throw PresenceStoreError("\(path).lock: \(String(cString: strerror(errno)))") }
    guard flock(lockDescriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(lockDescriptor)
      throw PresenceStoreError("\(path) belongs to another process: two presence workers on one state directory?")
    }
    do {
      database = try PresenceStore.openDatabase(path)
    } catch {
      close(lockDescriptor)
      throw PresenceStore.describe(error, path)
    }
  }

  deinit { close(lockDescriptor) }

  private static func openDatabase(_ path: String) throws -> DatabaseQueue {
    var configuration = Configuration()
    configuration.prepareDatabase { db in
      try db.execute(sql: "PRAGMA journal_mode = WAL")
      try db.execute(sql: "PRAGMA synchronous = NORMAL")
      try db.execute(sql: "PRAGMA cache_size = -\(PresenceLimits.cacheKiB)")
      try db.execute(sql: "PRAGMA journal_size_limit = \(PresenceLimits.journalBytesKept)")
    }
    let database = try DatabaseQueue(path: path, configuration: configuration)
    let found = try database.read { try String.fetchAll($0, sql: "PRAGMA quick_check(1)") }
    if found != ["ok"] { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: found.first) }
    let migrator = PresenceSchema.migrator
    if try database.read({ try migrator.hasBeenSuperseded($0) }) {
      throw PresenceStoreError("\(path) was written by a newer release: run that, or move the file aside")
    }
    try migrator.migrate(database)
    return database
  }

  /// What to do about it, with the file's name.
  private static func describe(_ error: any Error, _ path: String) -> PresenceStoreError {
    guard let error = error as? DatabaseError else { return error as? PresenceStoreError ?? .init("\(path): \(error)") }
    let reason = error.message ?? "SQLite error \(error.resultCode.rawValue)"
    switch error.resultCode {
    case .SQLITE_CORRUPT, .SQLITE_NOTADB:
      return PresenceStoreError(
        "\(path) is damaged (\(reason)): move \(path), \(path)-wal and \(path)-shm aside and start again. Who is here is "
          + "learnt anew from the gateways; when others were last seen is lost, but for what a backup of the file holds"
      )
    default: return PresenceStoreError("\(path) cannot be used: \(reason)")
    }
  }

  // MARK: - Reading

  /// Every connection, at the start. Rows that no release of ours has written are left out.
  func load() throws -> [StoredConnection] {
    do {
      return try database.read { db in
        var rows: [StoredConnection] = []
        let cursor = try Row.fetchCursor(
          db,
          sql: """
            SELECT incarnation, session, user, device, connection, platform, connected, seen, lingers FROM connections
            """)
        while let row = try cursor.next() {
          let stored = StoredConnection(
            key: SessionKey(
              incarnation: UInt64(bitPattern: row[0] as Int64), session: UInt64(bitPattern: row[1] as Int64)),
            user: row[2], device: row[3], connectionID: row[4],
            platform: Platform(rawValue: UInt8(truncatingIfNeeded: row[5] as Int64)) ?? .unknown,
            connectedMilliseconds: row[6], seenMilliseconds: row[7], lingersMilliseconds: row[8])
          let ids = [stored.user, stored.device, stored.connectionID]
          if ids.allSatisfy({ Topic.isWellFormedID($0.utf8) }) { rows.append(stored) }
        }
        return rows
      }
    } catch {
      throw PresenceStore.describe(error, path)
    }
  }

  /// What the file knows of these users, in their order; called back on the queue. A file that cannot be read knows
  /// nobody, and says why.
  func find(_ users: [String], done: @escaping @Sendable (Result<[StoredUser], any Error>) -> Void) {
    queue.async {
      done(
        Result {
          try self.database.read { db in
            let statement = try db.cachedStatement(sql: "SELECT seen, platform FROM users WHERE id = ?")
            return try users.map { user in
              guard let row = try Row.fetchOne(statement, arguments: [user]) else {
                return StoredUser(id: user, seenMilliseconds: 0, platform: .unknown)
              }
              return StoredUser(
                id: user, seenMilliseconds: row[0],
                platform: Platform(rawValue: UInt8(truncatingIfNeeded: row[1] as Int64)) ?? .unknown)
            }
          }
        })
    }
  }

  // MARK: - Writing

  /// Writes a batch in one transaction, all or nothing; `done` is called on the queue.
  func write(_ changes: RegistryChanges, done: @escaping @Sendable (Result<Void, any Error>) -> Void) {
    queue.async {
      done(
        Result {
          try self.database.write { db in
            for (_, row) in changes.connections { try PresenceStore.write(row, db) }
            for key in changes.closed { try PresenceStore.remove(key, db) }
            for (_, row) in changes.users { try PresenceStore.write(row, db) }
          }
        })
    }
  }

  /// Waits for what was queued, then closes.
  func finish() {
    queue.sync { try? database.close() }
  }

  private static func write(_ row: StoredConnection, _ db: Database) throws {
    try db.cachedStatement(
      sql: """
        INSERT INTO connections (incarnation, session, user, device, connection, platform, connected, seen, lingers)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (incarnation, session) DO UPDATE SET seen = excluded.seen, lingers = excluded.lingers
        """
    ).execute(arguments: [
      Int64(bitPattern: row.key.incarnation), Int64(bitPattern: row.key.session), row.user, row.device,
      row.connectionID, Int(row.platform.rawValue), row.connectedMilliseconds, row.seenMilliseconds,
      row.lingersMilliseconds,
    ])
  }

  private static func remove(_ key: SessionKey, _ db: Database) throws {
    try db.cachedStatement(sql: "DELETE FROM connections WHERE incarnation = ? AND session = ?").execute(arguments: [
      Int64(bitPattern: key.incarnation), Int64(bitPattern: key.session),
    ])
  }

  private static func write(_ row: StoredUser, _ db: Database) throws {
    try db.cachedStatement(
      sql: """
        INSERT INTO users (id, seen, platform) VALUES (?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, platform = excluded.platform
        """
    ).execute(arguments: [row.id, row.seenMilliseconds, Int(row.platform.rawValue)])
  }
}

/// Why the registry's file cannot be used, and what to do.
struct PresenceStoreError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
