import AvaloClient
import AvaloCore
import Crypto
import Glibc

/// Writes a backup: a tar archive that only its maker may read, in which `manifest.json` comes last, so that one that was
/// cut short is seen to be. It has its name only when it is whole and on the disk.
final class ArchiveWriter {
  private let path: String
  private let draft: String
  private let descriptor: Int32
  private(set) var manifest: BackupManifest
  private var isFinished = false

  init(_ path: String, _ manifest: BackupManifest) throws {
    guard access(path, F_OK) != 0 else {
      throw ToolError.failed("\(path) is there already; a backup replaces nothing. Name another file")
    }
    self.path = path
    self.manifest = manifest
    draft = "\(path).\(getpid()).new"
    descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw ToolError.system("make", draft) }
  }

  deinit {
    close(descriptor)
    if !isFinished { unlink(draft) }
  }

  /// - `place`: where the file belongs when it is restored.
  func add(_ source: String, as name: String, place: String) throws {
    let file = open(source, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw ToolError.system("read", source) }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw ToolError.system("read", source) }
    let size = Int64(status.st_size)
    try write(TarHeader(name: name, bytes: size, modified: Int64(status.st_mtim.tv_sec)).encoded)
    var hash = SHA256()
    var left = size
    var buffer = [UInt8](repeating: 0, count: CtlLimits.copyBytes)
    while left > 0 {
      let count = try FileBytes.read(file, into: &buffer, at: source)
      guard count > 0 else { throw ToolError.failed("\(source) became shorter while it was read; try again") }
      let taken = buffer[..<min(count, Int(left))]
      hash.update(data: taken)
      try write(taken)
      left -= Int64(taken.count)
    }
    try write(ArraySlice(repeating: 0, count: TarHeader.padding(size)))
    manifest.files.append(
      .init(name: name, bytes: size, sha256: hash.finalize().hexadecimal, place: place))
  }

  /// Answers the archive's size.
  func finish() throws -> Int64 {
    let text = manifest.document.bytes
    try write(
      TarHeader(name: BackupManifest.name, bytes: Int64(text.count), modified: manifest.createdAt / 1000).encoded)
    try write(text[...])
    // Two empty blocks end an archive.
    try write(ArraySlice(repeating: 0, count: TarHeader.padding(Int64(text.count)) + 2 * TarHeader.blockBytes))
    guard fsync(descriptor) == 0 else { throw ToolError.system("write", draft) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, rename(draft, path) == 0 else { throw ToolError.system("write", path) }
    isFinished = true
    try FileBytes.syncFolder(of: path)
    return Int64(status.st_size)
  }

  private func write(_ bytes: [UInt8]) throws { try write(bytes[...]) }
  private func write(_ bytes: ArraySlice<UInt8>) throws { try FileBytes.write(bytes, to: descriptor, at: draft) }
}

extension SHA256.Digest {
  var hexadecimal: String {
    reduce(into: "") { $0 += ($1 < 16 ? "0" : "") + String($1, radix: 16) }
  }
}

/// Reading and writing whole runs of bytes.
enum FileBytes {
  static func read(_ descriptor: Int32, into buffer: inout [UInt8], at path: String) throws -> Int {
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw ToolError.system("read", path) }
      return count
    }
  }

  static func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32, at path: String) throws {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw ToolError.system("write", path) }
      rest = rest.dropFirst(count)
    }
  }

  /// So that a rename is on the disk, too.
  static func syncFolder(of path: String) throws {
    let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ToolError.system("open", folder) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw ToolError.system("write", folder) }
  }
}

extension ToolError {
  /// What the system says that it cannot do, by `errno`.
  static func system(_ verb: String, _ path: String) -> ToolError {
    let reason = String(cString: strerror(errno))
    let hint = errno == EACCES || errno == EPERM ? ". Ask as avalod's own user, or as root" : ""
    return .failed("cannot \(verb) \(path): \(reason)\(hint)")
  }
}
