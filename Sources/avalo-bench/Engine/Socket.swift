import Glibc

/// The few socket calls of the load: non-blocking TCP without delay.
enum Socket {
  /// Begins to connect; the answer comes as writability. Throws what the kernel refused.
  static func connecting(to address: sockaddr_in, from source: sockaddr_in?) throws(SocketError) -> Int32 {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_INET, type, 0)
    guard descriptor >= 0 else { throw SocketError("socket", errno) }
    set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    if let source {
      // The port is chosen by connect, which may reuse one that another destination has.
      set(descriptor, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, 1)
      guard call(source, { Glibc.bind(descriptor, $0, $1) }) == 0 else { throw abandon(descriptor, "bind") }
    }
    guard call(address, { Glibc.connect(descriptor, $0, $1) }) == 0 || errno == EINPROGRESS else {
      throw abandon(descriptor, "connect")
    }
    return descriptor
  }

  /// What became of a connect: 0, or an error number.
  static func pendingError(_ descriptor: Int32) -> Int32 {
    var error: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno
  }

  /// Cuts a connection: the peer sees a reset, and no port is left waiting.
  static func cut(_ descriptor: Int32) {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    close(descriptor)
  }

  /// As many descriptors as the machine lets us have.
  static func raiseDescriptorLimit() -> Int {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return Int(clamping: limit.rlim_cur)
  }

  private static func set(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
    var value = value
    setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  private static func call(_ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    withUnsafePointer(to: address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }

  private static func abandon(_ descriptor: Int32, _ name: String) -> SocketError {
    let error = SocketError(name, errno)
    close(descriptor)
    return error
  }
}

struct SocketError: Error, CustomStringConvertible {
  var call: String
  var number: Int32

  init(_ call: String, _ number: Int32) {
    self.call = call
    self.number = number
  }

  var description: String { "\(call): \(String(cString: strerror(number)))" }
}
