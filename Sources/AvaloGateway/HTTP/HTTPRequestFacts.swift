import NIOHTTP1

/// What of a request's headers matters here, collected in one walk.
struct HTTPRequestFacts {
  private(set) var host: String?
  private(set) var origin: String?
  private(set) var authorization: String?
  private(set) var contentType: String?
  private(set) var contentLength: Int?
  private(set) var isEncoded = false
  /// A transfer coding beside `chunked`, which nobody here takes off (RFC 9112 §6.1).
  private(set) var hasUnknownCoding = false
  private(set) var expectsContinue = false
  private(set) var hasUpgrade = false
  /// The client wants its answer as an event stream.
  private(set) var acceptsEvents = false
  private(set) var lastEventID: String?
  /// These two mean something only behind a trusted proxy.
  private(set) var forwardedFor: String?
  private(set) var isForwardedSecure = false
  /// A header that says who or where, and is there twice: which one counts is anybody's guess.
  private(set) var ambiguous: String?

  init(_ headers: HTTPHeaders) {
    for (name, value) in headers {
      // By length first: most names differ in it.
      switch name.utf8.count {
      case 4 where HTTPRequestFacts.same(name, "host"): if !HTTPRequestFacts.set(&host, value) { ambiguous = name }
      case 6 where HTTPRequestFacts.same(name, "origin"): if !HTTPRequestFacts.set(&origin, value) { ambiguous = name }
      case 6 where HTTPRequestFacts.same(name, "accept"):
        if value.split(separator: ",").contains(where: HTTPRequestFacts.isEventStream) { acceptsEvents = true }
      case 6 where HTTPRequestFacts.same(name, "expect"):
        expectsContinue = HTTPRequestFacts.same(value, "100-continue")
      case 7 where HTTPRequestFacts.same(name, "upgrade"): hasUpgrade = true
      case 12 where HTTPRequestFacts.same(name, "content-type"):
        if !HTTPRequestFacts.set(&contentType, value) { ambiguous = name }
      case 13 where HTTPRequestFacts.same(name, "authorization"):
        if !HTTPRequestFacts.set(&authorization, value) { ambiguous = name }
      case 13 where HTTPRequestFacts.same(name, "last-event-id"):
        if !HTTPRequestFacts.set(&lastEventID, value) { ambiguous = name }
      case 14 where HTTPRequestFacts.same(name, "content-length"): contentLength = Int(value)
      case 17 where HTTPRequestFacts.same(name, "transfer-encoding"):
        if !HTTPRequestFacts.same(value, "chunked") { hasUnknownCoding = true }
      case 15 where HTTPRequestFacts.same(name, "x-forwarded-for"):
        // Several lines mean one list (RFC 9110 §5.3): the nearest proxy's entry must stay the last.
        forwardedFor = forwardedFor.map { $0 + ", " + value } ?? value
      case 17 where HTTPRequestFacts.same(name, "x-forwarded-proto"):
        isForwardedSecure = HTTPRequestFacts.same(value, "https")
      case 16 where HTTPRequestFacts.same(name, "content-encoding"):
        isEncoded = !HTTPRequestFacts.same(value, "identity")
      default: break
      }
    }
  }

  private static func isEventStream(_ type: Substring) -> Bool {
    same(trimmed(type.prefix { $0 != ";" }), "text/event-stream")
  }

  /// `application/json`, in UTF-8 if it says anything about that.
  var isJSON: Bool {
    guard let contentType else { return false }
    let parts = contentType.split(separator: ";", omittingEmptySubsequences: false)
    guard HTTPRequestFacts.same(HTTPRequestFacts.trimmed(parts[0]), "application/json") else { return false }
    return parts.dropFirst().allSatisfy { part in
      let parameter = part.lowercased().filter { $0 != " " && $0 != "\"" && $0 != "\t" }
      return !parameter.hasPrefix("charset=") || parameter == "charset=utf-8" || parameter == "charset=utf8"
    }
  }

  /// False when it was set already.
  private static func set(_ field: inout String?, _ value: String) -> Bool {
    guard field == nil else { return false }
    field = value
    return true
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text
    while text.first == " " || text.first == "\t" { text.removeFirst() }
    while text.last == " " || text.last == "\t" { text.removeLast() }
    return text
  }

  /// Without regard to case; `lower` is in lower case.
  private static func same(_ text: some StringProtocol, _ lower: StaticString) -> Bool {
    let utf8 = text.utf8
    guard utf8.count == lower.utf8CodeUnitCount else { return false }
    var place = 0
    for byte in utf8 {
      let wanted = lower.utf8Start[place]
      guard byte == wanted || byte | 0x20 == wanted && (0x41...0x5A).contains(byte) else { return false }
      place += 1
    }
    return true
  }
}
