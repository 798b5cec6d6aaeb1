import AvaloStore
import Foundation

/// An exclusive lock beside a file, held for as long as this lives. The kernel lets go of it when the process dies,
/// however it dies, so a lock file left behind means nothing.
final class FileLock {
  private let descriptor: Int32

  /// Waits up to `milliseconds` for an owner that is just stopping.
  init(beside path: String, waiting milliseconds: Int) throws(LogError) {
    let lockPath = path + ".lock"
    descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .unavailable("\(lockPath): \(String(cString: strerror(errno)))") }
    var waited = 0
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      guard code == EWOULDBLOCK || code == EINTR else {
        close(descriptor)
        throw .unavailable("\(lockPath): \(String(cString: strerror(code)))")
      }
      guard waited < milliseconds else {
        close(descriptor)
        throw .locked(path: path)
      }
      usleep(20_000)
      waited += 20
    }
  }

  deinit { close(descriptor) }
}
