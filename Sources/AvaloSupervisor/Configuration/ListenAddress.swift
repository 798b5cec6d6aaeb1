import Glibc

/// Where a listener is: an IP address with a port, or a Unix socket's path.
public enum ListenAddress: Hashable, Sendable, CustomStringConvertible {
  case internet(InternetAddress)
  case unix(path: String)

  /// As it is written in a configuration: `127.0.0.1:8480`, `[::1]:8480`, `unix:/run/x.sock`.
  public var description: String {
    switch self {
    case .internet(let address): address.description
    case .unix(let path): "unix:\(path)"
    }
  }

  /// What a configuration must say.
  static let expected = "an address such as \"127.0.0.1:8480\", \"[::1]:8480\" or \"unix:name.sock\""

  /// A relative Unix path is within `folder`. `nil` for anything else: names are not looked up, since an answer that
  /// changes would move a listener.
  init?(_ text: String, folder: String) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst(5))
      guard !path.isEmpty, !path.hasSuffix("/"), !path.utf8.contains(0) else { return nil }
      self = .unix(path: path.hasPrefix("/") ? path : "\(folder)/\(path)")
    } else {
      guard let address = InternetAddress(text) else { return nil }
      self = .internet(address)
    }
  }

  /// Whether only this machine reaches it.
  var isLocal: Bool {
    switch self {
    case .internet(let address): address.isLoopback
    case .unix: true
    }
  }

  var family: Int32 {
    switch self {
    case .internet(let address): address.isVersion6 ? AF_INET6 : AF_INET
    case .unix: AF_UNIX
    }
  }

  /// Calls `body` with the address as the kernel wants it.
  func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    switch self {
    case .internet(let address): return address.withSocketAddress(body)
    case .unix(let path):
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      // Checked when the configuration was read; a path that does not fit would name another file.
      precondition(path.utf8.count <= SupervisorLimits.socketPathBytesMax, "socket path \(path)")
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
      return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
      }
    }
  }

  /// Where a bound socket is, by getsockname(2); `nil` for what is neither IP nor Unix.
  init?(boundTo descriptor: Int32) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    guard result == 0 else { return nil }
    if Int32(storage.ss_family) == AF_UNIX {
      let path = withUnsafeBytes(of: &storage) { bytes in
        String(decoding: bytes[2..<Int(length)].prefix { $0 != 0 }, as: UTF8.self)
      }
      guard !path.isEmpty else { return nil }
      self = .unix(path: path)
    } else {
      guard let address = InternetAddress(storage) else { return nil }
      self = .internet(address)
    }
  }
}

/// An IP address with a port. Never a name.
public struct InternetAddress: Hashable, Sendable, CustomStringConvertible {
  /// 4 or 16, in network order.
  let bytes: [UInt8]
  public var port: UInt16

  var isVersion6: Bool { bytes.count == 16 }

  init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits) else {
      return nil
    }
    var host = text[..<colon]
    let bracketed = host.first == "[" && host.last == "]"
    if bracketed { host = host.dropFirst().dropLast() }
    // An address of 16 bytes without brackets would leave its last group to be read as a port.
    guard bracketed == host.contains(":") else { return nil }
    var bytes = [UInt8](repeating: 0, count: bracketed ? 16 : 4)
    guard inet_pton(bracketed ? AF_INET6 : AF_INET, String(host), &bytes) == 1 else { return nil }
    self.bytes = bytes
    self.port = port
  }

  init?(_ storage: sockaddr_storage) {
    var storage = storage
    let family = Int32(storage.ss_family)
    guard family == AF_INET || family == AF_INET6 else { return nil }
    (bytes, port) = withUnsafeBytes(of: &storage) { raw in
      // sockaddr_in: port at 2, address at 4; sockaddr_in6: port at 2, address at 8.
      let start = family == AF_INET ? 4 : 8
      let count = family == AF_INET ? 4 : 16
      return (Array(raw[start..<(start + count)]), UInt16(raw[2]) << 8 | UInt16(raw[3]))
    }
  }

  public var description: String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    _ = inet_ntop(isVersion6 ? AF_INET6 : AF_INET, bytes, &text, socklen_t(text.count))
    let host = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return isVersion6 ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  var isLoopback: Bool {
    if !isVersion6 { return bytes[0] == 127 }
    let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
    return bytes == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
      || bytes.starts(with: mapped) && bytes[12] == 127
  }
  var isWildcard: Bool { bytes.allSatisfy { $0 == 0 } }

  func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var storage = sockaddr_storage()
    storage.ss_family = sa_family_t(isVersion6 ? AF_INET6 : AF_INET)
    withUnsafeMutableBytes(of: &storage) { raw in
      raw[2] = UInt8(port >> 8)
      raw[3] = UInt8(port & 0xFF)
      UnsafeMutableRawBufferPointer(rebasing: raw[(isVersion6 ? 8 : 4)...]).copyBytes(from: bytes)
    }
    let length = isVersion6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
    return withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
    }
  }
}
