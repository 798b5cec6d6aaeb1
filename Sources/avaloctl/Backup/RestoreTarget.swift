import AvaloClient
import AvaloCore
import Glibc

/// A state folder that nobody uses while a backup is put into it: as long as this lives, no avalod starts on it.
final class RestoreTarget {
  let state: String
  /// What nobody else may use meanwhile.
  private var locks: [Int32] = []
  /// Whose the state folder is.
  private let owner: (user: uid_t, group: gid_t)
  private let now = WallClock.milliseconds()

  /// - `state`: made when it is missing.
  init(state: String) throws {
    self.state = state
    if mkdir(state, 0o711) != 0, errno != EEXIST { throw ToolError.system("make the folder", state) }
    guard let found = RestoreTarget.owner(of: state) else { throw ToolError.system("look at", state) }
    owner = found
    // avalod's own lock (see docs/operations.md).
    guard try lock("\(state)/avalod.state.lock") else {
      throw ToolError.failed("avalod runs on \(state). Stop it first: systemctl stop avalod")
    }
  }

  deinit { for lock in locks { close(lock) } }

  /// Takes the lock of a database, which its worker holds for as long as it lives, wherever its state folder is.
  func claim(database path: String) throws {
    guard access(path, F_OK) == 0 else { return }
    guard try lock("\(path).lock") else {
      throw ToolError.failed("\(path) is in use. Stop what uses it first: systemctl stop avalod")
    }
  }

  /// Answers whether nobody else has it.
  private func lock(_ path: String) throws -> Bool {
    let lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard lock >= 0 else { throw ToolError.system("open", path) }
    _ = fchown(lock, owner.user, owner.group)
    locks.append(lock)
    return flock(lock, LOCK_EX | LOCK_NB) == 0
  }

  /// Where a file of a backup belongs. Whoever made the backup does not say what else is written on this machine: one that
  /// lay outside its folder goes back there only when that was asked for, and only a database.
  func path(of file: BackupManifest.File, config: String, inPlace: Bool = false) throws -> String {
    let isDatabase = file.name.hasPrefix(BackupManifest.state)
    guard isDatabase || file.name.hasPrefix(BackupManifest.config) else {
      throw ToolError.failed(
        "the backup holds \"\(file.name)\", which is neither of the state nor of the configuration")
    }
    guard !file.place.split(separator: "/").contains(".."), !file.place.isEmpty,
      isDatabase || !file.place.hasPrefix("/")
    else { throw ToolError.failed("the backup names the place \"\(file.place)\", which is none") }
    guard file.place.hasPrefix("/") else { return "\(isDatabase ? state : config)/\(file.place)" }
    guard inPlace else {
      throw ToolError.failed(
        "\(file.name) lay outside the state folder, at \(file.place). To put it back there, whatever uses it being stopped, "
          + "add --in-place; to look into it, take it out of the backup with tar")
    }
    return file.place
  }

  /// Beside where it belongs, until all are there.
  static func draft(_ path: String) -> String { path + ".restoring" }

  /// A new file for a draft. The folder is made if there is none.
  func create(_ path: String) throws -> Int32 {
    let folder = RestoreTarget.folder(of: path)
    if mkdir(folder, 0o750) == 0 {
      let owner = RestoreTarget.owner(of: RestoreTarget.folder(of: folder)) ?? owner
      _ = chown(folder, owner.user, owner.group)
    }
    let draft = RestoreTarget.draft(path)
    unlink(draft)
    let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw ToolError.system("make", draft) }
    return descriptor
  }

  /// Puts a draft in its place, with the owner and the rights of what lies there, which is moved aside with its
  /// write-ahead log. Answers where that is now; `nil` when nothing was there.
  func put(_ path: String) throws -> String? {
    var before = stat()
    let draft = RestoreTarget.draft(path)
    if stat(path, &before) == 0 {
      _ = chown(draft, before.st_uid, before.st_gid)
      _ = chmod(draft, before.st_mode & 0o777)
    } else {
      let owner = RestoreTarget.owner(of: RestoreTarget.folder(of: path)) ?? owner
      _ = chown(draft, owner.user, owner.group)
    }
    // A write-ahead log that lies there alone would be taken for the new file's.
    let kept = "\(path).before-restore-\(now)"
    var aside: String?
    for suffix in ["-wal", "-shm", ""] where access(path + suffix, F_OK) == 0 {
      guard rename(path + suffix, kept + suffix) == 0 else { throw ToolError.system("move", path + suffix) }
      aside = kept
    }
    guard rename(draft, path) == 0 else { throw ToolError.system("write", path) }
    try FileBytes.syncFolder(of: path)
    return aside
  }

  private static func folder(of path: String) -> String {
    path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
  }

  /// Whose a file or folder is; `nil` when there is none.
  private static func owner(of path: String) -> (user: uid_t, group: gid_t)? {
    var status = stat()
    return stat(path, &status) == 0 ? (status.st_uid, status.st_gid) : nil
  }
}
