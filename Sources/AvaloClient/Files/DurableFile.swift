#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file that is read whole, appended to and replaced, so that what was written is there after a crash or a loss of power.
/// Calls block: they belong on a thread that may.
struct DurableFile: ~Copyable {
  let path: String
  private let descriptor: Int32

  /// Opens or makes it, readable by its user alone, and holds it against every other program. Throws
  /// ``ClientError/storage(_:)``.
  init(path: String) throws(ClientError) {
    self.path = path
    descriptor = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .storage("\(path).lock: \(String(cString: strerror(errno)))") }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let why = errno == EWOULDBLOCK ? "another program uses it" : String(cString: strerror(errno))
      _ = close(descriptor)
      throw .storage("\(path): \(why)")
    }
  }

  deinit { _ = close(descriptor) }

  /// Nothing, when there is no such file.
  func read() throws(ClientError) -> [UInt8] { try DurableFile.read(path) ?? [] }

  /// Cuts the file to `bytes`, which are whole, and puts `lines` behind them. Answers its new length.
  func append(_ lines: [UInt8], at bytes: Int) throws(ClientError) -> Int {
    let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw DurableFile.failure(path) }
    defer { _ = close(file) }
    guard ftruncate(file, off_t(bytes)) == 0, lseek(file, off_t(bytes), SEEK_SET) == off_t(bytes),
      DurableFile.write(lines, to: file), fsync(file) == 0
    else {
      let failure = DurableFile.failure(path)
      // What was written of it is told not to be kept: it must not be found after a restart.
      if ftruncate(file, off_t(bytes)) == 0 { _ = fsync(file) }
      throw failure
    }
    // It may have been made just now.
    if bytes == 0 { DurableFile.syncFolder(of: path) }
    return bytes + lines.count
  }

  func replace(with bytes: [UInt8]) throws(ClientError) { try DurableFile.replace(path, with: bytes) }

  // MARK: Files that nobody holds

  /// `nil` when there is no such file.
  static func read(_ path: String) throws(ClientError) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw failure(path)
    }
    defer { _ = close(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = part.withUnsafeMutableBytes { systemRead(file, $0.baseAddress, $0.count) }
      if count == 0 { return bytes }
      if count < 0 {
        if errno == EINTR { continue }
        throw failure(path)
      }
      bytes += part[..<count]
    }
  }

  /// The old content or the new is there, whatever happens meanwhile, and whoever replaces it at the same time.
  static func replace(_ path: String, with bytes: [UInt8]) throws(ClientError) {
    let (fresh, file) = try openFresh(path)
    // Its lock, too.
    defer { _ = close(file) }
    guard write(bytes, to: file), fsync(file) == 0, rename(fresh, path) == 0 else {
      let failure = failure(path)
      _ = unlink(fresh)
      throw failure
    }
    syncFolder(of: path)
  }

  /// An empty file beside it, and nobody else's: one that a crash has left is taken over; while another writer holds that
  /// one, it is one with a name of its own.
  private static func openFresh(_ path: String) throws(ClientError) -> (name: String, file: Int32) {
    let usual = path + ".fresh"
    let file = open(usual, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    if file >= 0 {
      // Renamed before it was locked, it is somebody's content.
      if flock(file, LOCK_EX | LOCK_NB) == 0, isStill(file, usual), ftruncate(file, 0) == 0 { return (usual, file) }
      _ = close(file)
    }
    let own = "\(usual)-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    let another = open(own, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard another >= 0 else { throw failure(own) }
    return (own, another)
  }

  private static func isStill(_ file: Int32, _ path: String) -> Bool {
    var (held, named) = (stat(), stat())
    return fstat(file, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino
      && held.st_dev == named.st_dev
  }

  /// A name is there for good when its folder is.
  private static func syncFolder(of path: String) {
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = fsync(descriptor)
    _ = close(descriptor)
  }

  private static func write(_ bytes: [UInt8], to file: Int32) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { systemWrite(file, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        return false
      }
      rest = rest.dropFirst(count)
    }
    return true
  }

  private static func failure(_ path: String) -> ClientError {
    .storage("\(path): \(String(cString: strerror(errno)))")
  }
}

// Within the type, `read` and `write` are its own.
private func systemRead(_ file: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
  read(file, bytes, count)
}
private func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int { write(file, bytes, count) }
