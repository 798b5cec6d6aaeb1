import AvaloCore
import Dispatch
import Foundation
import GRDB

/// The connection registry and when each user was last seen, in a SQLite file of the worker's own.
///
/// Used through its own queues, never on a loop: one writes, and one reads on a view of its own, so that no question keeps
/// what users change from being written. The lock beside the file is taken before it is opened: one owner.
final class PresenceStore: Sendable {
  let path: String
  private let database: DatabaseQueue
  private let view: DatabaseQueue
  private let lockDescriptor: Int32
  private let writes = DispatchQueue(label: "presence-writes")
  private let reads = DispatchQueue(label: "presence-reads")

  init(path: String) throws {
    self.path = path
    lockDescriptor = try PresenceStore.lock(path)
    do {
      database = try PresenceStore.openDatabase(path)
      view = try PresenceStore.openView(path)
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

  /// For reading beside the writer. Waits for nobody: readers of a write-ahead log need not.
  private static func openView(_ path: String) throws -> DatabaseQueue {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.prepareDatabase { db in
      try db.execute(sql: "PRAGMA cache_size = -\(PresenceLimits.viewCacheKiB)")
    }
    return try DatabaseQueue(path: path, configuration: configuration)
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

  /// What the file knows of these users, in their order; called back on a queue. A question that is late by the time it
  /// would be read is answered ``TooLate`` unread.
  func find(
    _ users: [String], isLate: @escaping @Sendable () -> Bool = { false },
    done: @escaping @Sendable (Result<[StoredUser], any Error>) -> Void
  ) {
    reads.async {
      done(
        Result {
          if isLate() { throw TooLate() }
          return try self.view.read { db in try PresenceStore.find(users, db) }
        })
    }
  }

  struct TooLate: Error {}

  /// Many at a time: of what one costs, most is the statement.
  private static func find(_ users: [String], _ db: Database) throws -> [StoredUser] {
    let marks = repeatElement("?", count: PresenceLimits.usersPerStatement).joined(separator: ", ")
    let statement = try db.cachedStatement(sql: "SELECT \(StoredUser.columns) FROM users WHERE id IN (\(marks))")
    var found: [String: StoredUser] = [:]
    for start in stride(from: 0, to: users.count, by: PresenceLimits.usersPerStatement) {
      var asked = Array(users[start..<min(start + PresenceLimits.usersPerStatement, users.count)])
      // The statement has so many places; one user in two of them is one row.
      asked += repeatElement(asked[0], count: PresenceLimits.usersPerStatement - asked.count)
      let rows = try Row.fetchCursor(statement, arguments: StatementArguments(asked))
      while let row = try rows.next() {
        let user = StoredUser(row)
        found[user.id] = user
      }
    }
    return users.map { found[$0] ?? StoredUser(id: $0) }
  }

  // MARK: - Writing

  /// Writes a batch in one transaction, all or nothing; `done` is called on a queue.
  func write(_ changes: RegistryChanges, done: @escaping @Sendable (Result<Void, any Error>) -> Void) {
    writes.async {
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
    reads.sync { try? view.close() }
    writes.sync { try? database.close() }
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
