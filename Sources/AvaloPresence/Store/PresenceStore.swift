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
    lockDescriptor = try PresenceStore.lock(path)
    do {
      database = try PresenceStore.openDatabase(path)
    } catch {
      close(lockDescriptor)
      throw PresenceStore.describe(error, path)
    }
  }

  deinit { close(lockDescriptor) }

  static func openDatabase(_ path: String) throws -> DatabaseQueue {
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
    guard isDamage(error) else { return PresenceStoreError("\(path) cannot be used: \(reason(error))") }
    return PresenceStoreError(
      "\(path) is damaged (\(reason(error))): move \(path), \(path)-wal and \(path)-shm aside (avalo-presence --repair "
        + "does) and start again. Who is here is learnt anew from the gateways; when others were last seen is lost, but "
        + "for what a backup of the file holds")
  }

  // MARK: - Reading

  /// What an earlier life left. Reserves the versions that this one begins with: nothing may be numbered before that is in
  /// the file.
  func load() throws -> StoredRegistry {
    do {
      return try database.write { db in
        let last =
          try Int64.fetchOne(db, sql: "SELECT value FROM counters WHERE name = ?", arguments: [Self.counter]) ?? 0
        let versions = VersionCounter(
          after: UInt64(clamping: last), reserved: UInt64(clamping: last) + PresenceLimits.versionsReserved)
        try Self.reserve(versions.reserved, db)
        var registry = StoredRegistry(versions: versions)
        let connections = try Row.fetchCursor(db, sql: "SELECT \(StoredConnection.columns) FROM connections")
        while let row = try connections.next() {
          if let stored = StoredConnection(row) { registry.connections.append(stored) }
        }
        let users = try Row.fetchCursor(db, sql: "SELECT \(StoredUser.columns) FROM users WHERE bare IS NOT NULL")
        while let row = try users.next() { registry.bare.append(StoredUser(row)) }
        return registry
      }
    } catch {
      throw PresenceStore.describe(error, path)
    }
  }

  /// What the file knows of these users, in their order; called back on the queue.
  func find(_ users: [String], done: @escaping @Sendable (Result<[StoredUser], any Error>) -> Void) {
    queue.async {
      done(
        Result {
          try self.database.read { db in
            let statement = try db.cachedStatement(sql: "SELECT \(StoredUser.columns) FROM users WHERE id = ?")
            return try users.map { user in
              try Row.fetchOne(statement, arguments: [user]).map { StoredUser($0) } ?? StoredUser(id: user)
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
            if let versions = changes.versionsReserved { try Self.reserve(versions, db) }
            for (_, row) in changes.connections { try row.write(db) }
            for key in changes.closed { try key.remove(db) }
            for (_, row) in changes.users { try row.write(db) }
          }
        })
    }
  }

  /// Waits for what was queued, then closes.
  func finish() {
    queue.sync { try? database.close() }
  }

  private static let counter = "versions"

  private static func reserve(_ versions: UInt64, _ db: Database) throws {
    try db.cachedStatement(sql: "INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)").execute(
      arguments: [counter, Int64(clamping: versions)])
  }
}

/// Why the registry's file cannot be used, and what to do.
struct PresenceStoreError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
