import AvaloCore
import NIOHTTP1

/// Where a request goes, by its method and path alone.
enum HTTPRoute {
  case call(any Callable.Type)
  /// `GET /events`, with what stands behind its `?`.
  case events(query: String)
  case health
  /// `GET /demo`, and a file below it; `nil` without the slash that the page's own links need.
  case demo(Substring?)
  /// A browser asks whether a page may call (CORS).
  case preflight
  case refused(HTTPAnswer)

  /// `POST /NAME`, or Firebase's `POST /{project}/{region}/NAME`; `GET /events`; `GET /healthz`; `GET /demo/…`; `OPTIONS` of
  /// anything.
  init(_ head: HTTPRequestHead) {
    if head.method == .OPTIONS {
      self = .preflight
      return
    }
    let path = HTTPRoute.path(of: head.uri)
    if path.elementsEqual("/healthz".utf8) {
      self =
        head.method == .GET || head.method == .HEAD ? .health : .refused(.wrongMethod("/healthz", allow: "GET, HEAD"))
      return
    }
    if path.elementsEqual("/events".utf8) {
      self =
        head.method == .GET
        ? .events(query: String(head.uri.drop { $0 != "?" }.dropFirst()))
        : .refused(.wrongMethod("/events", allow: "GET"))
      return
    }
    if path.elementsEqual("/ws".utf8) {
      self = .refused(
        .error(CallError(.invalidArgument, "/ws is for WebSockets: open it with a WebSocket client"), status: 426))
      return
    }
    let callable = HTTPRoute.functionName(path).flatMap { CallTable.find($0) }
    // A project may be called so, too.
    if callable == nil, head.method == .GET || head.method == .HEAD, path.starts(with: "/demo".utf8) {
      let rest = path.dropFirst(5)
      if rest.isEmpty || rest.first == UInt8(ascii: "/") {
        self = .demo(rest.isEmpty ? nil : Substring(rest.dropFirst()))
        return
      }
    }
    guard let callable else {
      self = .refused(.error(.nothingThere))
      return
    }
    self =
      head.method == .POST ? .call(callable) : .refused(.wrongMethod(callable.name.description, allow: "POST, OPTIONS"))
  }

  /// Whether the connection may leave HTTP with this request, so that no further one is read from it.
  func mayStream(_ facts: HTTPRequestFacts) -> Bool {
    switch self {
    case .events: true
    case .call(let callable): facts.acceptsEvents && callable == SubscribeToRealtimeEvents.self
    default: false
    }
  }

  /// Without the query, and without scheme and host where a proxy left them (RFC 9112 §3.2.2).
  private static func path(of uri: String) -> Substring.UTF8View {
    var text = Substring(uri).utf8
    if text.first != UInt8(ascii: "/"), let scheme = uri.firstRange(of: "://") {
      text = uri[scheme.upperBound...].utf8.drop { $0 != UInt8(ascii: "/") }
    }
    return text.prefix { $0 != UInt8(ascii: "?") }
  }

  /// The last of one segment or of three, none empty.
  private static func functionName(_ path: Substring.UTF8View) -> Substring.UTF8View? {
    guard path.first == UInt8(ascii: "/") else { return nil }
    var segments = 0
    var name = path
    var rest = path
    while let slash = rest.first, slash == UInt8(ascii: "/") {
      rest = rest.dropFirst()
      name = rest.prefix { $0 != UInt8(ascii: "/") }
      guard !name.isEmpty, segments < 3 else { return nil }
      segments += 1
      rest = rest.dropFirst(name.count)
    }
    return segments == 1 || segments == 3 ? name : nil
  }
}

extension CallError {
  static let nothingThere = CallError(
    .notFound, "there is no such function here: POST /NAME with a name of the documentation")
}
