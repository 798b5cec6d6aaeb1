import AvaloSystem
import CAvalo
import Glibc

/// The datagram socket on which one process of a worker says how it is. Bound anew for each process, so that nothing a
/// dead one (or a child it left) said is taken for its successor's word. Confined to the supervisor's loop.
final class NotifySocket {
  let path: String
  let descriptor: Int32
  private let users: Set<UInt32>
  private var buffer = [UInt8](repeating: 0, count: SupervisorLimits.notificationBytesMax)

  /// - `user`: the worker's, if not our own; it must be able to write.
  init(path: String, user: UserAccount?) throws(SystemError) {
    self.path = path
    users = Set([0, geteuid()] + (user.map { [$0.user] } ?? []))
    let descriptor = socket(
      AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { throw SystemError("notify socket") }
    self.descriptor = descriptor
    unlink(path)
    let isBound = ListenAddress.unix(path: path).withSocketAddress {
      fchmod(descriptor, 0o600) == 0 && bind(descriptor, $0, $1) == 0
    }
    var on: Int32 = 1
    guard isBound, setsockopt(descriptor, SOL_SOCKET, SO_PASSCRED, &on, socklen_t(MemoryLayout<Int32>.size)) == 0,
      user.map({ chown(path, $0.user, $0.group) == 0 }) ?? true
    else {
      let error = SystemError(path)
      Glibc.close(descriptor)
      throw error
    }
  }

  /// The next message; `nil` when there is none now. What another user sent is thrown away.
  func next() -> Notification? {
    while true {
      var user: uid_t = 0
      let count = avalo_receive_notification(descriptor, &buffer, buffer.count, &user)
      if count < 0 { return nil }
      if users.contains(user) { return Notification(buffer[..<count]) }
    }
  }

  func close() {
    Glibc.close(descriptor)
    unlink(path)
  }
}
