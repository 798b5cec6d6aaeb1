import AvaloCore

/// Which pages may read our answers (the Fetch standard, §3.2). Decides by the `Origin` alone; who the user is, is the
/// token's matter.
public struct CORSPolicy: Sendable {
  private let origins: Set<String>
  private let allowsLoopback: Bool
  private let allowsAll: Bool

  public init(_ settings: CORSSettings) {
    origins = Set(settings.origins)
    allowsLoopback = origins.contains("loopback")
    allowsAll = origins.contains("*")
  }

  /// Whether pages of that origin may call.
  public func allows(_ origin: String) -> Bool {
    allowsAll && CORSPolicy.isOrigin(origin) || origins.contains(origin) && origin != "loopback"
      || allowsLoopback && CORSPolicy.isLoopback(origin)
  }

  /// A stream is a connection like a WebSocket: pages of other origins get none. Who sends no origin is no page.
  func mayListen(_ origin: String?) throws(CallError) {
    guard let origin, !allows(origin) else { return }
    throw CallError(.permissionDenied, "pages of this origin may not listen: it is not among cors.origins")
  }

  /// What the setting may hold.
  static func isOriginOrName(_ text: String) -> Bool { text == "loopback" || text == "*" || isOrigin(text) }

  /// `scheme://host`, perhaps with a port, as browsers serialise it (RFC 6454 §6.2); also `null`, which is no origin
  /// to be trusted, is refused.
  private static func isOrigin(_ text: String) -> Bool {
    guard let (scheme, host) = parts(text) else { return false }
    return !scheme.isEmpty && !host.isEmpty
      && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "*") }
      && !host.contains("/")
  }

  private static func isLoopback(_ text: String) -> Bool {
    guard let (scheme, authority) = parts(text), scheme == "http" || scheme == "https" else { return false }
    let host: Substring
    if authority.hasPrefix("[") {
      guard let end = authority.firstIndex(of: "]") else { return false }
      host = authority[...end]
    } else {
      host = authority.prefix { $0 != ":" }
    }
    let port = authority[host.endIndex...]
    guard port.isEmpty || port.first == ":" && port.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return false
    }
    return host == "localhost" || host == "127.0.0.1" || host == "[::1]" || host.hasSuffix(".localhost")
  }

  private static func parts(_ text: String) -> (scheme: Substring, authority: Substring)? {
    guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
    return (text[..<colon], text[text.index(colon, offsetBy: 3)...])
  }
}
