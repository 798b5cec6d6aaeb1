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

  /// The headers of an answer to a page that may be of `origin`; `nil` is no page's.
  func headers(for origin: String?) -> [(String, String)] {
    let vary = ("Vary", "Origin")
    guard let origin, allows(origin) else { return [vary] }
    return [vary, ("Access-Control-Allow-Origin", origin)]
  }

  /// The origin that may read the answer to what is no request, or more than one may be: as far as a line of these bytes
  /// names one. What comes later than they do is not waited for.
  func origin(in unread: UnsafeRawBufferPointer) -> String? {
    let name: StaticString = "origin:"
    // The last one: what came before was answered.
    for line in unread.split(separator: UInt8(ascii: "\n")).reversed() where line.count > name.utf8CodeUnitCount {
      let isOrigin = zip(line, UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        .allSatisfy { $0 | 0x20 == $1 | 0x20 }
      guard isOrigin else { continue }
      let value = line.dropFirst(name.utf8CodeUnitCount).filter { $0 > 0x20 }
      let origin = String(decoding: value, as: UTF8.self)
      return allows(origin) ? origin : nil
    }
    return allowsAll ? "*" : nil
  }

  func headers(toRefusalOf unread: UnsafeRawBufferPointer) -> [(String, String)] {
    headers(for: nil) + (origin(in: unread).map { [("Access-Control-Allow-Origin", $0)] } ?? [])
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
