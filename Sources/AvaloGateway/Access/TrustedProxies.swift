import Glibc

/// Whom we believe when they say for whom they speak, and what follows from that. Pure.
public struct TrustedProxies: Sendable, Equatable {
  /// Addresses and networks, such as `127.0.0.1` and `10.0.0.0/8`.
  private let networks: [AddressRange]

  public init(_ networks: [AddressRange] = []) { self.networks = networks }

  public var isEmpty: Bool { networks.isEmpty }

  /// - `address`: numeric, without a port.
  public func contains(_ address: String) -> Bool {
    guard !networks.isEmpty, let bytes = AddressRange.bytes(of: address) else { return false }
    return networks.contains { $0.contains(bytes) }
  }

  /// The client behind the other end of a connection: the last address of `X-Forwarded-For` that is no proxy of ours, as long
  /// as every one behind it is. A header that a client made up itself is never believed.
  public func client(behind peer: String, forwardedFor: String?) -> String {
    var client = peer
    var rest = forwardedFor.map { Substring($0) } ?? ""
    while contains(client), !rest.isEmpty {
      let comma = rest.lastIndex(of: ",")
      let entry = comma.map { rest[rest.index(after: $0)...] } ?? rest
      rest = comma.map { rest[..<$0] } ?? ""
      guard let address = TrustedProxies.address(in: entry) else { return client }
      client = address
    }
    return client
  }

  /// Some proxies add a port, and brackets for IPv6.
  private static func address(in entry: Substring) -> String? {
    var text = entry.drop { $0 == " " || $0 == "\t" }
    while text.last == " " || text.last == "\t" { text.removeLast() }
    if text.first == "[" {
      guard let end = text.firstIndex(of: "]") else { return nil }
      text = text[text.index(after: text.startIndex)..<end]
    } else if let colon = text.firstIndex(of: ":"), text.lastIndex(of: ":") == colon {
      text = text[..<colon]
    }
    let address = String(text)
    return AddressRange.bytes(of: address) == nil ? nil : address
  }
}

/// A network, or a single address.
public struct AddressRange: Sendable, Equatable {
  /// 4 or 16 of them.
  private let prefix: [UInt8]
  private let bits: Int

  /// `10.0.0.0/8`, `::1`, `192.0.2.7`; `nil` when it is none.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let bytes = AddressRange.bytes(of: String(first)) else { return nil }
    prefix = bytes
    if parts.count == 2 {
      guard let bits = Int(parts[1]), (0...bytes.count * 8).contains(bits) else { return nil }
      self.bits = bits
    } else {
      bits = bytes.count * 8
    }
  }

  func contains(_ address: [UInt8]) -> Bool {
    guard address.count == prefix.count else { return false }
    let whole = bits / 8
    guard address[..<whole] == prefix[..<whole] else { return false }
    let rest = bits % 8
    return rest == 0 || (address[whole] ^ prefix[whole]) >> UInt8(8 - rest) == 0
  }

  /// Of a numeric address; one of IPv4 that is written as IPv6 (`::ffff:192.0.2.7`) is one of IPv4.
  static func bytes(of address: String) -> [UInt8]? {
    var four = in_addr()
    if inet_pton(AF_INET, address, &four) == 1 { return withUnsafeBytes(of: four) { Array($0) } }
    var six = in6_addr()
    guard inet_pton(AF_INET6, address, &six) == 1 else { return nil }
    let bytes = withUnsafeBytes(of: six) { Array($0) }
    let mapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
    return mapped ? Array(bytes[12...]) : bytes
  }

  /// What one party usually has: an address of IPv4, a /64 of IPv6. For counting.
  static func household(of address: String) -> String {
    guard let bytes = bytes(of: address) else { return address }
    if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
    return bytes[..<8].map { String($0, radix: 16) }.joined(separator: ":") + "::/64"
  }
}
