import AvaloSystem
import Glibc

/// Small files of the gateway's own in the state directory, which several instances share.
enum SmallFile {
  /// Whoever reads it sees the old one or the new one, whole. It need not survive a power cut.
  static func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
    let draft = "\(path).\(getpid())"
    let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw SystemError(draft) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR {
        let error = SystemError(draft)
        close(descriptor)
        unlink(draft)
        throw error
      }
    }
    close(descriptor)
    guard rename(draft, path) == 0 else { throw SystemError(path) }
  }
}
