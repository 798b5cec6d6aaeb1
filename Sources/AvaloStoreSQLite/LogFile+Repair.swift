import AvaloStore
import Foundation
import GRDB

/// What looking at a log's file came to.
public enum LogRepair: Sendable, Equatable {
  /// There is no file.
  case nothing
  /// It is whole, and was left as it is.
  case sound
  /// It was damaged, as `detail` says, and lies at `aside` now.
  case movedAside(aside: String, detail: String)
}

extension LogFile {
  /// Takes the owner's lock, checks the file to its last page and, if it is damaged, moves it aside with its write-ahead
  /// log, so that the next owner begins a new one. Whoever owns the file, a file of something else or of a later release,
  /// and one that cannot be read at all are errors, and nothing is changed.
  public func repair(nowMilliseconds: Int64) throws(LogError) -> LogRepair {
    let lock = try FileLock(beside: path, waiting: SQLiteLimits.lockMilliseconds)
    defer { withExtendedLifetime(lock) {} }
    guard FileManager.default.fileExists(atPath: path) else { return .nothing }
    do throws(LogError) {
      try checkWhole()
      return .sound
    } catch {
      guard case .corrupt(_, let detail) = error else { throw error }
      return .movedAside(aside: try moveAside(nowMilliseconds: nowMilliseconds), detail: detail)
    }
  }

  private func checkWhole() throws(LogError) {
    let connection = try Connection(path: path)
    defer { connection.close() }
    try checkOwner(connection)
    guard try !isOfALaterRelease() else { throw .newerSchema(path: path) }
    let verdict = try connection.text("PRAGMA integrity_check(1)")
    guard verdict == "ok" else { throw .corrupt(path: path, detail: verdict) }
  }

  private func moveAside(nowMilliseconds: Int64) throws(LogError) -> String {
    let aside = "\(path).damaged-\(nowMilliseconds)"
    for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
      guard rename(path + suffix, aside + suffix) == 0 else {
        throw .unavailable("moving \(path + suffix) to \(aside + suffix): \(String(cString: strerror(errno)))")
      }
    }
    return aside
  }
}
