/// Where a server listens.
public enum Endpoint: Sendable, Hashable, CustomStringConvertible {
  /// Plain TCP: for servers on this machine, or behind a proxy that ends TLS.
  case tcp(host: String, port: Int)
  /// TCP with TLS.
  case tls(host: String, port: Int)
  /// A Unix stream socket.
  case unix(path: String)

  /// Reads `http://host:port` or `https://host:port`, likewise `ws` and `wss`, with or without a path; `nil` when it is
  /// none of them.
  public init?(url: String) {
    guard let parts = URLParts(url) else { return nil }
    self = parts.isSecure ? .tls(host: parts.host, port: parts.port) : .tcp(host: parts.host, port: parts.port)
  }

  public var description: String {
    switch self {
    case .tcp(let host, let port), .tls(let host, let port):
      host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): path
    }
  }

  /// For a `Host` header.
  var authority: String {
    if case .unix = self { return "localhost" }
    return description
  }
}

/// The parts of a URL that a connection needs.
struct URLParts {
  var isSecure: Bool
  var host: String
  var port: Int
  /// With its query; at least `/`.
  var target: String

  init?(_ url: String) {
    guard let scheme = url.range(of: "://") else { return nil }
    switch url[..<scheme.lowerBound].lowercased() {
    case "http", "ws": isSecure = false
    case "https", "wss": isSecure = true
    default: return nil
    }
    let rest = url[scheme.upperBound...]
    let slash = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
    let authority = rest[..<slash]
    target = rest[slash...].hasPrefix("/") ? String(rest[slash...]) : "/" + rest[slash...]
    let portText: Substring?
    if authority.hasPrefix("["), let bracket = authority.firstIndex(of: "]") {
      host = String(authority[authority.index(after: authority.startIndex)..<bracket])
      let behind = authority[authority.index(after: bracket)...]
      guard behind.isEmpty || behind.hasPrefix(":") else { return nil }
      portText = behind.isEmpty ? nil : behind.dropFirst()
    } else {
      let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      host = String(parts[0])
      portText = parts.count == 2 ? parts[1] : nil
    }
    guard !host.isEmpty, !host.contains("@") else { return nil }
    guard let portText else {
      port = isSecure ? 443 : 80
      return
    }
    guard let number = UInt16(portText), number > 0 else { return nil }
    port = Int(number)
  }
}

extension String {
  fileprivate func range(of needle: String) -> Range<String.Index>? { firstRange(of: needle) }
}
