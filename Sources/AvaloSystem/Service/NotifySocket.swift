import Glibc

/// A datagram socket to the service manager, opened once: a process that has run out of descriptors must still be able to
/// say that it lives, and sd_notify(3) opens one for each message.
final class NotifySocket: Sendable {
  private let descriptor: Int32

  /// - `address`: NOTIFY_SOCKET: a path, or `@` and a name in the abstract namespace. `nil` for every other kind, and when
  ///   it cannot be reached.
  init?(_ address: String) {
    guard let (socketAddress, size) = NotifySocket.parse(address) else { return nil }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    var address = socketAddress
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
    }
    guard status == 0 else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Sends one message; false when nobody took it.
  func send(_ message: String) -> Bool {
    var message = message
    return message.withUTF8 { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) == $0.count }
  }

  private static func parse(_ text: String) -> (sockaddr_un, socklen_t)? {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(text.utf8)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard let first = bytes.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"), bytes.count < room else {
      return nil
    }
    withUnsafeMutableBytes(of: &address.sun_path) { path in
      path.copyBytes(from: bytes)
      // The abstract namespace begins with a zero, and its names end with the address.
      if first == UInt8(ascii: "@") { path[0] = 0 }
    }
    let size = MemoryLayout<sa_family_t>.size + bytes.count + (first == UInt8(ascii: "/") ? 1 : 0)
    return (address, socklen_t(size))
  }
}
