import AvaloSystem
import Glibc

/// The folder in which one avalod lives: its lock, its sockets, what it writes for its workers. Held from the start to
/// the end; a second avalod on the same folder is refused, so that whatever is found in it is a dead one's.
struct RuntimeDirectory: Sendable {
  let path: String
  private let lock: FolderLock

  /// Creates the folder if need be, and locks it.
  init(_ path: String) throws(FolderError) {
    self.path = path
    try Folder.create(path)
    lock = try FolderLock(path, name: "avalod.lock", setting: "runtime_directory")
    for folder in ["notify", "metrics", "settings"] { try Folder.create("\(path)/\(folder)") }
  }

  func notifyPath(_ worker: String, _ slot: Int) -> String { "\(path)/notify/\(worker).\(slot).sock" }
  func settingsPath(_ worker: String) -> String { "\(path)/settings/\(worker).json" }
  func drainingPath(_ worker: String) -> String { "\(path)/settings/\(worker).draining" }

  // MARK: Settings

  /// Writes the settings of `workers` beside those in force; when that fails for one, nothing is left of any. Their
  /// readers see them with ``putSettings(of:)``. Readable by nobody but the worker's user: there may be secrets in them.
  func draftSettings(of workers: [WorkerManifest]) throws(SystemError) {
    do throws(SystemError) {
      for worker in workers { try write(worker.settings, to: draftPath(worker.name), user: worker.user) }
    } catch {
      dropDrafts(of: workers)
      throw error
    }
  }

  /// Puts the drafts in force. A reader sees the old file or the new one, never a part.
  func putSettings(of workers: [WorkerManifest]) throws(SystemError) {
    for worker in workers where rename(draftPath(worker.name), settingsPath(worker.name)) != 0 {
      throw SystemError(settingsPath(worker.name))
    }
  }

  func dropDrafts(of workers: [WorkerManifest]) {
    for worker in workers { unlink(draftPath(worker.name)) }
  }

  func removeSettings(of worker: String) {
    unlink(settingsPath(worker))
    unlink(drainingPath(worker))
  }

  // MARK: Drains

  /// Says how many of a worker's processes drain, to those that begin to. A reader sees the old number or the new one.
  func tellDraining(_ worker: WorkerManifest, count: Int) throws(SystemError) {
    let path = drainingPath(worker.name)
    try write(Array("\(count)\n".utf8), to: path + ".new", user: worker.user)
    guard rename(path + ".new", path) == 0 else { throw SystemError(path) }
  }

  private func draftPath(_ worker: String) -> String { settingsPath(worker) + ".new" }

  private func write(_ bytes: [UInt8], to draft: String, user: UserAccount?) throws(SystemError) {
    unlink(draft)
    let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw SystemError(draft) }
    defer { close(descriptor) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else {
        if errno == EINTR { continue }
        throw SystemError(draft)
      }
      rest = rest.dropFirst(count)
    }
    if let user, fchown(descriptor, user.user, user.group) != 0 { throw SystemError(draft) }
  }

  func release() { lock.release() }
}

/// Folders of ours.
enum Folder {
  /// Creates it, with its parents, unless it is there. Others may pass through a new one, to what in it they may open:
  /// a worker with a user of its own must.
  static func create(_ path: String) throws(FolderError) {
    if try make(path) { return }
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw .failed(SystemError(path, ENOENT))
    }
    try create(String(path[..<slash]))
    guard try make(path) else { throw .failed(SystemError(path, ENOENT)) }
  }

  /// `false` when its parent is missing.
  private static func make(_ path: String) throws(FolderError) -> Bool {
    if mkdir(path, 0o711) == 0 {
      // In spite of the umask.
      guard chmod(path, 0o711) == 0 else { throw .failed(SystemError(path)) }
      return true
    }
    switch errno {
    case ENOENT: return false
    case EEXIST:
      var status = stat()
      guard stat(path, &status) == 0 else { throw .failed(SystemError(path)) }
      guard status.st_mode & S_IFMT == S_IFDIR else { throw .failed(SystemError(path, ENOTDIR)) }
      return true
    default: throw .failed(SystemError(path))
    }
  }
}
