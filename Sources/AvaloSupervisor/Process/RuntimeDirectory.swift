import AvaloSystem
import Glibc

/// The folder in which one avalod lives: its lock, its sockets, what it writes for its workers. Held from the start to
/// the end; a second avalod on the same folder is refused, so that whatever is found in it is a dead one's.
struct RuntimeDirectory: Sendable {
  let path: String
  private let lock: Int32

  /// Creates the folder if need be, and locks it.
  init(_ path: String) throws(RuntimeDirectoryError) {
    self.path = path
    try RuntimeDirectory.create(path)
    let lockPath = "\(path)/avalod.lock"
    lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
    guard lock >= 0 else { throw .failed(SystemError(lockPath)) }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      let error = errno
      let holder = ProcessFile.read(lockPath).flatMap { Int32($0.filter(\.isNumber)) }
      close(lock)
      throw error == EWOULDBLOCK ? .inUse(path: path, pid: holder) : .failed(SystemError(lockPath, error))
    }
    let text = "\(getpid())\n"
    guard ftruncate(lock, 0) == 0, text.utf8CString.withUnsafeBytes({ write(lock, $0.baseAddress, $0.count - 1) }) > 0
    else { throw .failed(SystemError(lockPath)) }
    for folder in ["notify", "metrics", "settings"] { try RuntimeDirectory.create("\(path)/\(folder)") }
  }

  func notifyPath(_ worker: String, _ slot: Int) -> String { "\(path)/notify/\(worker).\(slot).sock" }
  func settingsPath(_ worker: String) -> String { "\(path)/settings/\(worker).json" }

  /// Writes a worker's settings so that a reader sees the old ones or the new ones, never a part; readable by nobody
  /// but the worker's user, since there may be secrets in it.
  func writeSettings(_ bytes: [UInt8], of worker: String, user: UserAccount?) throws(SystemError) {
    let path = settingsPath(worker)
    let draft = path + ".new"
    unlink(draft)
    let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw SystemError(draft) }
    defer { close(descriptor) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else {
        if errno == EINTR { continue }
        throw SystemError(draft)
      }
      rest = rest.dropFirst(count)
    }
    if let user, fchown(descriptor, user.user, user.group) != 0 { throw SystemError(draft) }
    guard rename(draft, path) == 0 else { throw SystemError(path) }
  }

  func removeSettings(of worker: String) { unlink(settingsPath(worker)) }

  /// Unlocks. The lock's file stays: removing it would let two lock different files of one name.
  func release() { close(lock) }

  /// Others may pass through, to what in it they may open.
  static func create(_ path: String) throws(RuntimeDirectoryError) {
    if mkdir(path, 0o711) == 0 || errno == EEXIST {
      var status = stat()
      guard stat(path, &status) == 0 else { throw .failed(SystemError(path)) }
      guard status.st_mode & S_IFMT == S_IFDIR else { throw .failed(SystemError(path, ENOTDIR)) }
      return
    }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw .failed(SystemError(path))
    }
    try create(String(path[..<slash]))
    guard mkdir(path, 0o711) == 0 || errno == EEXIST else { throw .failed(SystemError(path)) }
  }
}

enum RuntimeDirectoryError: Error, Equatable, Sendable, CustomStringConvertible {
  case inUse(path: String, pid: Int32?)
  case failed(SystemError)

  var description: String {
    switch self {
    case .inUse(let path, let pid):
      "another avalod\(pid.map { " (pid \($0))" } ?? "") runs on \(path); stop it, or set another runtime_directory"
    case .failed(let error): "\(error)"
    }
  }
}
