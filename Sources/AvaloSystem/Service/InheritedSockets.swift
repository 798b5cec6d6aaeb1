import Glibc

/// A descriptor that was open when we were started.
public struct InheritedSocket: Equatable, Sendable {
  /// As in the manifest or the socket unit; `unknown` when it was not said.
  public let name: String
  public let descriptor: Int32

  public init(name: String, descriptor: Int32) {
    self.name = name
    self.descriptor = descriptor
  }
}

/// Takes over the sockets a service manager passed us, as sd_listen_fds(3) describes.
public enum InheritedSockets {
  /// Descriptors are passed from this one on.
  public static let firstDescriptor: Int32 = 3

  /// Reads LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID, marks the descriptors close-on-exec and removes the variables,
  /// so that no child believes they are its own. Call once, first thing, before other threads read the environment.
  public static func take() throws(InheritedSocketsError) -> [InheritedSocket] {
    let sockets = try parse(.process, pid: getpid())
    for name in ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID"] { unsetenv(name) }
    for socket in sockets {
      let flags = fcntl(socket.descriptor, F_GETFD)
      guard flags >= 0, fcntl(socket.descriptor, F_SETFD, flags | FD_CLOEXEC) == 0 else {
        throw .notOpen(socket.name, socket.descriptor)
      }
    }
    return sockets
  }

  /// What the variables say to process `pid`; nothing when they are meant for another.
  static func parse(_ environment: Environment, pid: pid_t) throws(InheritedSocketsError) -> [InheritedSocket] {
    guard let text = environment["LISTEN_FDS"] else { return [] }
    guard let meant = environment["LISTEN_PID"] else { throw .malformed("LISTEN_PID", "nothing") }
    guard let target = environment.number("LISTEN_PID", as: pid_t.self) else { throw .malformed("LISTEN_PID", meant) }
    guard target == pid else { return [] }
    guard let count = environment.number("LISTEN_FDS", as: Int.self), count <= SystemLimits.inheritedSocketsMax else {
      throw .malformed("LISTEN_FDS", text)
    }
    let names = environment["LISTEN_FDNAMES"].map { $0.split(separator: ":", omittingEmptySubsequences: false) }
    if let names, names.count != count, count > 0 {
      throw .malformed("LISTEN_FDNAMES", "\(names.count) names for \(count) descriptors")
    }
    return (0..<count).map { index in
      let name = names.map { String($0[index]) } ?? ""
      return InheritedSocket(name: name.isEmpty ? "unknown" : name, descriptor: firstDescriptor + Int32(index))
    }
  }
}

/// The service manager's variables do not fit what it passed.
public enum InheritedSocketsError: Error, Equatable, CustomStringConvertible, Sendable {
  case malformed(String, String)
  case notOpen(String, Int32)

  public var description: String {
    switch self {
    case .malformed(let variable, let value): "\(variable) makes no sense: \(value)"
    case .notOpen(let name, let descriptor): "inherited socket \"\(name)\" (descriptor \(descriptor)) is not open"
    }
  }
}
