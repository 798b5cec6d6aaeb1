import AvaloCore
import NIOHTTP1

/// A whole HTTP/1.1 answer to a handshake that is not accepted. The connection ends with it.
struct PlainResponse {
  var status: Int
  var headers: [(String, String)]
  var body: String

  init(status: Int, headers: [(String, String)] = [], body: String) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// As HTTP says it.
  init(_ error: CallError) {
    var json = JSONWriter(capacity: 192)
    json.object { CallAnswer.write(.failure(error), to: &$0) }
    self.init(
      status: error.code.httpStatus, headers: [("Content-Type", "application/json")],
      body: String(decoding: json.bytes, as: UTF8.self))
    if let wait = error.retryAfterMilliseconds { headers.append(("Retry-After", "\((wait + 999) / 1000)")) }
  }

  /// An error as all faces of the gateway write it. `message` is a constant: it is not escaped.
  static func error(_ status: Int, _ code: String, _ message: String) -> PlainResponse {
    PlainResponse(
      status: status, headers: [("Content-Type", "application/json")],
      body: #"{"error":{"status":"\#(code)","message":"\#(message)"}}"#)
  }

  static let noRoom = retryable(503, "UNAVAILABLE", "This instance has no room for another connection")

  private static func retryable(_ status: Int, _ code: String, _ message: String) -> PlainResponse {
    var response = error(status, code, message)
    response.headers.append(("Retry-After", "\(TransportLimits.retryAfterSeconds)"))
    return response
  }

  var bytes: [UInt8] {
    var text = "HTTP/1.1 \(status) \(HTTPResponseStatus(statusCode: status).reasonPhrase)\r\n"
    for (name, value) in headers { text += "\(name): \(value)\r\n" }
    text += "Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
    return Array((text + body).utf8)
  }
}
