import Glibc

/// Which file a program's path leads to at the moment. Another file there, and the same one written anew, has another
/// stamp: so a running process is known to be of an earlier release without its program being read.
struct ProgramStamp: Equatable, Sendable {
  private let device: UInt
  private let inode: UInt
  private let bytes: Int
  private let modifiedSeconds: Int
  private let modifiedNanoseconds: Int

  /// The file that this process was started from: where it lies, and as it was. `nil` without /proc.
  static func ofThisProcess() -> (path: String, stamp: ProgramStamp)? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes {
      readlink("/proc/self/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    // Through /proc it is the file itself, also when its name leads to another one by now.
    guard count > 0, let stamp = ProgramStamp("/proc/self/exe") else { return nil }
    let path = String(decoding: buffer[..<count], as: UTF8.self)
    let deleted = " (deleted)"
    return (path.hasSuffix(deleted) ? String(path.dropLast(deleted.count)) : path, stamp)
  }

  /// `nil` when nothing is there.
  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
    bytes = Int(status.st_size)
    modifiedSeconds = status.st_mtim.tv_sec
    modifiedNanoseconds = status.st_mtim.tv_nsec
  }
}
