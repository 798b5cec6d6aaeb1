import Glibc

/// Small files that only their owner may read, written whole or not at all.
enum PrivateFile {
  private static let bytesMax = 1 << 20

  /// Whether there is something, also when we may not look at it: reading it then says so.
  static func exists(_ path: String) -> Bool {
    access(path, F_OK) == 0 || errno != ENOENT && errno != ENOTDIR
  }

  /// With its parents.
  static func makeFolder(_ path: String, mode: mode_t) throws(KeyFolderError) {
    if mkdir(path, mode) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
      throw failure("make the folder", path)
    }
    try makeFolder(String(path[..<slash]), mode: 0o755)
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw failure("make the folder", path) }
  }

  static func read(_ path: String) throws(KeyFolderError) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure("read", path) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: bytesMax)
    var count = 0
    while count < bytesMax {
      let size = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + count, bytesMax - count) }
      if size < 0, errno == EINTR { continue }
      guard size >= 0 else { throw failure("read", path) }
      if size == 0 { break }
      count += size
    }
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  /// Under a name of its own first, then under the right one: nobody ever reads half of it. Who might read the one that
  /// was there may read the new one: the service, when root changes its keys.
  /// - `folder`: a new file is for whoever may read this; without, for its maker alone.
  static func write(_ text: String, to path: String, like folder: stat? = nil) throws(KeyFolderError) {
    let draft = "\(path).\(getpid()).new"
    let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure("write", draft) }
    var before = stat()
    if stat(path, &before) == 0 {
      // Only root may give a file away; then the old owner cannot be kept, and need not be.
      _ = fchown(descriptor, before.st_uid, before.st_gid)
      _ = fchmod(descriptor, before.st_mode & 0o777)
    } else if let folder {
      _ = fchown(descriptor, folder.st_uid, folder.st_gid)
      _ = fchmod(descriptor, folder.st_mode & 0o666)
    }
    let bytes = Array(text.utf8)
    let written = Glibc.write(descriptor, bytes, bytes.count)
    let synced = fsync(descriptor)
    close(descriptor)
    guard written == bytes.count, synced == 0, rename(draft, path) == 0 else {
      let failure = failure("write", path)
      unlink(draft)
      throw failure
    }
  }

  static func remove(_ path: String) throws(KeyFolderError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
  }

  static func failure(_ verb: String, _ path: String) -> KeyFolderError {
    KeyFolderError("Cannot \(verb) \(path): \(String(cString: strerror(errno)))")
  }
}
