import Glibc

/// A blocking socket with a deadline on everything, for tests that look at what really goes over the wire. Not a client:
/// it sends what it is told, right or wrong, and takes the answer apart frame by frame.
public final class SocketProbe {
  public enum Failure: Error, Equatable {
    case timeout(String)
    case endOfStream
    case reset
    case system(String, Int32)
    case malformed(String)
  }

  public struct Frame: Equatable, Sendable, CustomStringConvertible {
    public var opcode: UInt8
    public var payload: [UInt8]

    public init(opcode: UInt8, payload: [UInt8]) {
      self.opcode = opcode
      self.payload = payload
    }

    public var text: String { String(decoding: payload, as: UTF8.self) }
    public var closeCode: UInt16? {
      opcode == 8 && payload.count >= 2 ? UInt16(payload[0]) << 8 | UInt16(payload[1]) : nil
    }
    public var description: String { "\(opcode) \(payload.count) bytes \(text.prefix(60)) \(closeCode ?? 0)" }
  }

  /// Milliseconds that a test waits for something that must come.
  public static let patience: Int32 = 10_000

  public private(set) var descriptor: Int32
  private var unread: [UInt8] = []
  private var unreadStart = 0

  public init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  deinit {
    close()
  }

  /// Connects to a port of 127.0.0.1. A small `receiveBuffer` makes a slow reader soon felt.
  public static func connect(port: Int, receiveBuffer: Int32? = nil) throws -> SocketProbe {
    let probe = try unconnected()
    if var size = receiveBuffer {
      setsockopt(probe.descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    try probe.connect(port: port)
    return probe
  }

  /// Has its descriptor, and connects later.
  public static func unconnected() throws -> SocketProbe {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Failure.system("socket", errno) }
    return SocketProbe(descriptor: descriptor)
  }

  public func connect(port: Int) throws {
    var address = loopback(port)
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw Failure.system("connect", errno) }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
  }

  // MARK: Sending

  public func send(_ bytes: [UInt8]) throws {
    var offset = 0
    while offset < bytes.count {
      try wait(for: Int16(POLLOUT), "room to send")
      let sent = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + offset, $0.count - offset, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      }
      if sent < 0 {
        if errno == EAGAIN || errno == EINTR { continue }
        throw errno == ECONNRESET || errno == EPIPE ? Failure.reset : Failure.system("send", errno)
      }
      offset += sent
    }
  }

  public func send(_ frame: ClientFrame) throws {
    try send(frame.bytes)
  }

  public func send(text: String) throws {
    try send(.text(text))
  }

  public func finishSending() {
    shutdown(descriptor, Int32(SHUT_WR))
  }

  /// Closes with a reset instead of an orderly end.
  public func reset() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
    close()
  }

  public func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  // MARK: Receiving

  /// The next frame of the server, which must not be masked or fragmented.
  public func frame(patience: Int32 = SocketProbe.patience) throws -> Frame {
    let head = try take(2, patience)
    guard head[0] & 0xF0 == 0x80, head[1] & 0x80 == 0 else {
      throw Failure.malformed("a server's frame starts with \(head)")
    }
    var count = Int(head[1])
    if count == 126 { count = try take(2, patience).reduce(0) { $0 << 8 | Int($1) } }
    if count == 127 { count = try take(8, patience).reduce(0) { $0 << 8 | Int($1) } }
    return Frame(opcode: head[0] & 0x0F, payload: try take(count, patience))
  }

  /// An HTTP head up to its empty line.
  public func head() throws -> String {
    var head: [UInt8] = []
    while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) { head += try take(1, SocketProbe.patience) }
    return String(decoding: head, as: UTF8.self)
  }

  public func take(_ count: Int, _ patience: Int32 = SocketProbe.patience) throws -> [UInt8] {
    while unread.count - unreadStart < count { try read(patience) }
    defer {
      unreadStart += count
      if unreadStart == unread.count {
        unread.removeAll(keepingCapacity: true)
        unreadStart = 0
      }
    }
    return Array(unread[unreadStart..<unreadStart + count])
  }

  /// Waits for the other end's end of stream; throws when something else comes.
  public func expectEnd(patience: Int32 = SocketProbe.patience) throws {
    if unread.count > unreadStart { throw Failure.malformed("\(unread.count - unreadStart) bytes before the end") }
    do {
      try read(patience)
    } catch Failure.endOfStream {
      return
    }
    throw Failure.malformed("bytes instead of the end: \(unread)")
  }

  private func read(_ patience: Int32) throws {
    try wait(for: Int16(POLLIN), "bytes", patience)
    let count = withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 8) { buffer in
      let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
      if count > 0 { unread.append(contentsOf: buffer.prefix(count)) }
      return count
    }
    if count == 0 { throw Failure.endOfStream }
    if count < 0 && errno != EAGAIN && errno != EINTR {
      throw errno == ECONNRESET ? Failure.reset : Failure.system("recv", errno)
    }
  }

  private func wait(for events: Int16, _ what: String, _ patience: Int32 = SocketProbe.patience) throws {
    var polled = pollfd(fd: descriptor, events: events, revents: 0)
    while true {
      let ready = poll(&polled, 1, patience)
      if ready > 0 { return }
      if ready == 0 { throw Failure.timeout(what) }
      if errno != EINTR { throw Failure.system("poll", errno) }
    }
  }
}

/// A listening socket on 127.0.0.1, on a port of the kernel's choice.
public final class LoopbackListener {
  public let descriptor: Int32
  public let port: Int
  private var isOwned = true

  public init(backlog: Int32 = 1024) throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw SocketProbe.Failure.system("socket", errno) }
    self.descriptor = descriptor
    var address = loopback(0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(descriptor, address, size) == 0 && listen(descriptor, backlog) == 0
          && getsockname(descriptor, address, &size) == 0
      }
    }
    port = Int(UInt16(bigEndian: address.sin_port))
    guard isListening else {
      let code = errno
      close(descriptor)
      throw SocketProbe.Failure.system("listen", code)
    }
  }

  deinit {
    if isOwned { close(descriptor) }
  }

  /// Gives the descriptor away.
  public func take() -> Int32 {
    isOwned = false
    return descriptor
  }

  public func accept() throws -> Int32 {
    let accepted = Glibc.accept(descriptor, nil, nil)
    guard accepted >= 0 else { throw SocketProbe.Failure.system("accept", errno) }
    return accepted
  }

  /// A connected pair: a probe, and the descriptor at the other end.
  public static func pair(receiveBuffer: Int32? = nil) throws -> (probe: SocketProbe, descriptor: Int32) {
    let listener = try LoopbackListener()
    let probe = try SocketProbe.connect(port: listener.port, receiveBuffer: receiveBuffer)
    return (probe, try listener.accept())
  }
}

private func loopback(_ port: Int) -> sockaddr_in {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = UInt16(port).bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  return address
}

/// The sockets and epolls this process has open. Other descriptors come and go with the runtime.
public func openSockets() throws -> [Int32: String] {
  guard let directory = opendir("/proc/self/fd") else { throw SocketProbe.Failure.system("opendir", errno) }
  defer { closedir(directory) }
  var found: [Int32: String] = [:]
  while let entry = readdir(directory) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    guard let number = Int32(name), number != dirfd(directory) else { continue }
    var target = [CChar](repeating: 0, count: 256)
    readlink("/proc/self/fd/\(number)", &target, target.count - 1)
    let kind = target.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    if kind.hasPrefix("socket:") || kind == "anon_inode:[eventpoll]" { found[number] = kind }
  }
  return found
}
