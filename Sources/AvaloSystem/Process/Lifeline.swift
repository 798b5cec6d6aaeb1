import Glibc

/// The inherited pipe whose other end only avalod holds: when it reaches end of file, avalod is gone, and a worker
/// that went on serving would be an orphan. Watched on a thread of its own, so that no stuck loop outlives it.
public enum Lifeline {
  /// The exit code of a worker that lost its supervisor (EX_UNAVAILABLE).
  public static let exitCode: Int32 = 69

  /// Watches the descriptor that `AVALO_LIFELINE_FD` names; does nothing without one. Throws when it names none.
  public static func watch(_ environment: Environment = .process) throws {
    guard let text = environment["AVALO_LIFELINE_FD"] else { return }
    guard let descriptor = environment.number("AVALO_LIFELINE_FD", as: Int32.self), fcntl(descriptor, F_GETFD) >= 0
    else { throw LifelineError(text: text) }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    try SystemThread.start(name: "lifeline") {
      waitForEnd(of: descriptor)
      // At once: no drain, no exit handlers. Clients resume with the next instance.
      _exit(exitCode)
    }
  }

  /// Returns at end of file or when the descriptor cannot be read any more; both mean that nobody holds the other end.
  static func waitForEnd(of descriptor: Int32) {
    var byte: UInt8 = 0
    while true {
      let count = read(descriptor, &byte, 1)
      if count > 0 { continue }
      if count == 0 { return }
      switch errno {
      case EINTR: continue
      case EAGAIN:
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&wait, 1, -1)
      default: return
      }
    }
  }
}

/// AVALO_LIFELINE_FD does not name an open descriptor.
public struct LifelineError: Error, CustomStringConvertible {
  let text: String
  public var description: String { "AVALO_LIFELINE_FD must name an open descriptor, not \"\(text)\"" }
}
