import Glibc

/// The first bytes of a connection through a proxy that speaks the PROXY protocol, version 2 (HAProxy's
/// `proxy-protocol.txt`, §2.2): who is really there. Pure.
enum ProxyHeader: Equatable {
  /// The connection begins with something else.
  case absent
  case incomplete
  /// It begins as one and is none.
  case bad
  /// - `source`: the client's numeric address; `nil` when the proxy speaks for itself, or for what has no address.
  case header(source: String?, bytes: Int)

  private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
  private static let fixedBytes = 16

  static func parse(_ bytes: UnsafeRawBufferPointer) -> ProxyHeader {
    guard zip(bytes, signature).allSatisfy({ $0 == $1 }) else { return .absent }
    guard bytes.count >= fixedBytes else { return .incomplete }
    let length = Int(bytes[14]) << 8 | Int(bytes[15])
    guard bytes[12] >> 4 == 2, length <= TransportLimits.proxyHeaderBytesMax else { return .bad }
    guard bytes.count >= fixedBytes + length else { return .incomplete }
    let total = fixedBytes + length
    let addresses = UnsafeRawBufferPointer(rebasing: bytes[fixedBytes..<total])
    switch (bytes[12] & 0x0F, bytes[13]) {
    case (0, _): return .header(source: nil, bytes: total)  // LOCAL: the proxy looks whether we are here
    case (1, 0x11): return source(addresses, AF_INET, 4, needs: 12, total)
    case (1, 0x21): return source(addresses, AF_INET6, 16, needs: 36, total)
    case (1, _): return .header(source: nil, bytes: total)
    default: return .bad
    }
  }

  private static func source(
    _ addresses: UnsafeRawBufferPointer, _ family: Int32, _ size: Int, needs: Int, _ total: Int
  ) -> ProxyHeader {
    guard addresses.count >= needs else { return .bad }
    var address = Array(addresses.prefix(size))
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(family, &address, &text, socklen_t(text.count)) != nil else { return .bad }
    return .header(source: text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }, bytes: total)
  }
}
