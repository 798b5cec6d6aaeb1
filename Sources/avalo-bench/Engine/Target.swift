import Glibc

/// Where the server listens: an IPv4 address, since the load is made on one machine or beside it.
struct Target {
  var host: String
  var port: UInt16

  /// Reads `http://127.0.0.1:8480` (also `ws://`, a path is ignored).
  init(url: String) throws(BenchError) {
    var rest = Substring(url)
    if let scheme = rest.firstRange(of: "://") {
      guard ["http", "ws"].contains(rest[..<scheme.lowerBound]) else {
        throw .usage("\(url): the load tool speaks http:// and ws:// only; TLS would measure the client's cryptography")
      }
      rest = rest[scheme.upperBound...]
    }
    if let path = rest.firstIndex(of: "/") { rest = rest[..<path] }
    let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count <= 2, let port = parts.count == 2 ? UInt16(parts[1]) : 80, port > 0 else {
      throw .usage("\(url) is not a URL like http://127.0.0.1:8480")
    }
    host = parts[0] == "localhost" ? "127.0.0.1" : String(parts[0])
    self.port = port
    guard Target.address(host, port) != nil else {
      throw .usage("\(host) is not an IPv4 address; give one, as in http://127.0.0.1:8480")
    }
  }

  var address: sockaddr_in { Target.address(host, port)! }
  var isLoopback: Bool { host.hasPrefix("127.") }
  var authority: String { "\(host):\(port)" }

  /// The address a client connects from: on loopback one of 127.0.0.2, 127.0.0.3 …, so that ports do not run out.
  func source(of client: Int) -> sockaddr_in? {
    isLoopback ? Target.address("127.0.0.\(2 + client / Limits.clientsPerAddressMax)", 0) : nil
  }

  private static func address(_ host: String, _ port: UInt16) -> sockaddr_in? {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    return inet_pton(AF_INET, host, &address.sin_addr) == 1 ? address : nil
  }
}
