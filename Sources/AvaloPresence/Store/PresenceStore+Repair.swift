import Foundation
import GRDB

// Who owns the file, and what becomes of a damaged one.
extension PresenceStore {

  /// Moves a damaged file aside, with its write-ahead log, so that the next start begins a new one; answers what was done.
  /// A sound file, one of another process and one of a newer release are refused, and nothing is changed.
  static func repair(path: String, nowMilliseconds: Int64) throws -> String {
    guard FileManager.default.fileExists(atPath: path) else {
      return "there is no \(path): the next start begins an empty registry"
    }
    let lock = try lock(path)
    defer { close(lock) }
    do {
      try openDatabase(path).close()
    } catch let error as DatabaseError where isDamage(error) {
      let aside = try moveAside(path, nowMilliseconds)
      return "\(path) was damaged (\(reason(error))) and is \(aside) now; the next start begins an empty registry"
    }
    throw PresenceStoreError("\(path) is sound: nothing was changed")
  }

  private static func moveAside(_ path: String, _ nowMilliseconds: Int64) throws -> String {
    let aside = "\(path).damaged-\(nowMilliseconds)"
    for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
      guard rename(path + suffix, aside + suffix) == 0 else {
        throw PresenceStoreError("moving \(path + suffix) to \(aside + suffix): \(String(cString: strerror(errno)))")
      }
    }
    return aside
  }

  /// The lock beside the file, held for as long as the descriptor is open.
  static func lock(_ path: String) throws -> Int32 {
    let descriptor = Glibc.open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw PresenceStoreError("\(path).lock: \(String(cString: strerror(errno)))") }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw PresenceStoreError("\(path) belongs to another process: two presence workers on one state directory?")
    }
    return descriptor
  }

  static func isDamage(_ error: DatabaseError) -> Bool {
    error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
  }

  static func reason(_ error: DatabaseError) -> String {
    error.message ?? "SQLite error \(error.resultCode.rawValue)"
  }
}
