import CAvalo
import Glibc

/// A look at the first bytes of a connection: is it a WebSocket upgrade (RFC 6455 §4.2.1), and is it a proper one?
/// Works on the raw bytes, because the socket must be taken before an HTTP decoder has read ahead of the request.
public enum UpgradeHead {
  /// No WebSocket: an HTTP server's business, from the first byte.
  case foreign
  /// Nothing can be said yet.
  case incomplete
  /// A WebSocket handshake that cannot be accepted.
  case bad(Fault)
  /// `consumed` bytes are the request; what follows is the WebSocket's already.
  case upgrade(UpgradeRequest, key: [UInt8], consumed: Int)

  public enum Fault: Error, Equatable, Sendable {
    case tooLarge
    case malformed
    case key
    case version
    /// A request has one `Host` (RFC 9112 §3.2), and a handshake no body (RFC 6455 §4.1).
    case host
    case body

    /// The HTTP answer.
    public var status: Int {
      switch self {
      case .tooLarge: 431
      case .malformed, .key, .host, .body: 400
      case .version: 426
      }
    }

    public var reason: String {
      switch self {
      case .tooLarge: "The request head is larger than \(Limits.headBytesMax) bytes or \(Limits.headLinesMax) lines"
      case .malformed: "A header line is malformed"
      case .key: "Sec-WebSocket-Key must be there once, 16 bytes in base64"
      case .version: "Sec-WebSocket-Version must be 13"
      case .host: "There must be one Host header"
      case .body: "A WebSocket handshake has no body"
      }
    }
  }

  /// Judges the bytes from the start of the stream. Call it again with more after `.incomplete`.
  public static func parse(_ bytes: UnsafeRawBufferPointer) -> UpgradeHead {
    let start: StaticString = "GET "
    let compared = min(bytes.count, start.utf8CodeUnitCount)
    guard compared > 0, let base = bytes.baseAddress else { return .incomplete }
    guard memcmp(base, start.utf8Start, compared) == 0 else { return .foreign }
    guard let end = avalo_find(base, bytes.count, "\r\n\r\n", 4) else {
      return bytes.count > Limits.headBytesMax ? .bad(.tooLarge) : .incomplete
    }
    let headBytes = base.distance(to: end) + 2  // the last line's CRLF included
    guard headBytes <= Limits.headBytesMax else { return .bad(.tooLarge) }
    return parseHead(UnsafeRawBufferPointer(start: base, count: headBytes))
  }

  private static func parseHead(_ head: UnsafeRawBufferPointer) -> UpgradeHead {
    var lines = HeadLines(head)
    guard let first = lines.next(), let target = requestTarget(first) else { return .foreign }
    var found = Found()
    var count = 0
    while let line = lines.next() {
      count += 1
      guard count <= Limits.headLinesMax else { return .bad(.tooLarge) }
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return .bad(.malformed) }
      found.take(name: line[..<colon], value: trimmed(line[(colon + 1)...]))
    }
    guard found.upgradesToWebSocket, found.connectionUpgrades else { return .foreign }
    guard found.hosts == 1 else { return .bad(.host) }
    guard !found.hasBody else { return .bad(.body) }
    guard found.isVersion13 else { return .bad(.version) }
    guard let key = found.key, !found.hasTwoKeys, isKey(key) else { return .bad(.key) }
    guard found.request.protocols.count <= Limits.subprotocolsMax else { return .bad(.tooLarge) }
    let (path, query) = split(target)
    found.request.path = path
    found.request.query = query
    return .upgrade(found.request, key: [UInt8](key), consumed: head.count + 2)
  }

  /// What the header lines said, as far as it matters.
  private struct Found {
    var request = UpgradeRequest(path: "")
    var upgradesToWebSocket = false
    var connectionUpgrades = false
    var isVersion13 = false
    var key: Slice<UnsafeRawBufferPointer>?
    var hasTwoKeys = false
    var hosts = 0
    var hasBody = false

    mutating func take(name: Slice<UnsafeRawBufferPointer>, value: Slice<UnsafeRawBufferPointer>) {
      // By length first: most lines of a browser are none of ours.
      switch name.count {
      case 4:
        if equals(name, "host") { hosts += 1 }
      case 6:
        if equals(name, "origin") { request.origin = string(value) }
      case 7:
        if equals(name, "upgrade") { upgradesToWebSocket = upgradesToWebSocket || hasToken(value, "websocket") }
      case 10:
        if equals(name, "connection") { connectionUpgrades = connectionUpgrades || hasToken(value, "upgrade") }
      case 13:
        if equals(name, "authorization") { request.authorization = string(value) }
      case 14:
        if equals(name, "content-length"), !equals(value, "0") { hasBody = true }
      case 15:
        // Several lines mean one list (RFC 9110 §5.3): the nearest proxy's entry must stay the last.
        if equals(name, "x-forwarded-for") {
          request.forwardedFor = request.forwardedFor.map { $0 + ", " + string(value) } ?? string(value)
        }
      case 17:
        if equals(name, "sec-websocket-key") {
          hasTwoKeys = key != nil
          key = value
        } else if equals(name, "transfer-encoding") {
          hasBody = true
        }
      case 21:
        if equals(name, "sec-websocket-version") { isVersion13 = equals(value, "13") }
      case 22:
        if equals(name, "sec-websocket-protocol") { eachToken(value) { request.protocols.append(string($0)) } }
      default: break
      }
    }
  }

  /// `GET target HTTP/1.1`, or a later minor version.
  private static func requestTarget(_ line: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer>? {
    let method = 4
    guard line.count > method, let space = line.lastIndex(of: UInt8(ascii: " ")),
      space > line.startIndex + method, equals(line[(space + 1)...], "http/1.1")
    else { return nil }
    let target = line[(line.startIndex + method)..<space]
    return target.first == UInt8(ascii: "/") && !target.contains(UInt8(ascii: " ")) ? target : nil
  }

  private static func split(_ target: Slice<UnsafeRawBufferPointer>) -> (String, String) {
    guard let mark = target.firstIndex(of: UInt8(ascii: "?")) else { return (string(target), "") }
    return (string(target[..<mark]), string(target[(mark + 1)...]))
  }

  /// 16 bytes in base64: 22 characters and two of padding.
  private static func isKey(_ key: Slice<UnsafeRawBufferPointer>) -> Bool {
    key.count == 24
      && key.prefix(22).allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"): true
        default: false
        }
      } && key.suffix(2).allSatisfy { $0 == UInt8(ascii: "=") }
  }
}

/// The lines of a head, each without its CRLF.
private struct HeadLines {
  private let head: UnsafeRawBufferPointer
  private var at = 0

  init(_ head: UnsafeRawBufferPointer) {
    self.head = head
  }

  mutating func next() -> Slice<UnsafeRawBufferPointer>? {
    guard at < head.count, let base = head.baseAddress else { return nil }
    guard let feed = memchr(base + at, Int32(UInt8(ascii: "\n")), head.count - at) else { return nil }
    let start = at
    var end = base.distance(to: feed)
    at = end + 1
    if end > start, head[end - 1] == UInt8(ascii: "\r") { end -= 1 }
    return head[start..<end]
  }
}

private func string(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
  String(decoding: UnsafeRawBufferPointer(rebasing: bytes), as: UTF8.self)
}

private func trimmed(_ bytes: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
  var rest = bytes
  while let byte = rest.first, byte == 32 || byte == 9 { rest = rest.dropFirst() }
  while let byte = rest.last, byte == 32 || byte == 9 { rest = rest.dropLast() }
  return rest
}

/// Without regard to ASCII case; `text` is in lower case.
private func equals(_ bytes: Slice<UnsafeRawBufferPointer>, _ text: StaticString) -> Bool {
  guard bytes.count == text.utf8CodeUnitCount else { return false }
  let whole = UnsafeRawBufferPointer(rebasing: bytes)
  for at in 0..<whole.count {
    let byte = whole[at]
    let lower = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    if lower != text.utf8Start[at] { return false }
  }
  return true
}

/// The members of a comma-separated list (RFC 9110 §5.6.1).
private func eachToken(_ list: Slice<UnsafeRawBufferPointer>, _ body: (Slice<UnsafeRawBufferPointer>) -> Void) {
  for part in list.split(separator: UInt8(ascii: ",")) {
    let token = trimmed(part)
    if !token.isEmpty { body(token) }
  }
}

private func hasToken(_ list: Slice<UnsafeRawBufferPointer>, _ text: StaticString) -> Bool {
  var found = false
  eachToken(list) { found = found || equals($0, text) }
  return found
}
