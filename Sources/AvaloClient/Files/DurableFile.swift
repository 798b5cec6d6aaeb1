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
    else { throw DurableFile.failure(path) }
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

  /// The old content or the new is there, whatever happens meanwhile.
  static func replace(_ path: String, with bytes: [UInt8]) throws(ClientError) {
    let fresh = path + ".new"
    let file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure(fresh) }
    let isWritten = write(bytes, to: file) && fsync(file) == 0
    let code = errno
    _ = close(file)
    errno = code
    guard isWritten else { throw failure(fresh) }
    guard rename(fresh, path) == 0 else { throw failure(path) }
    syncFolder(of: path)
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
