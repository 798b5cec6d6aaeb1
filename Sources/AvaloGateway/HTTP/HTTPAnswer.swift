import AvaloCore
import NIOCore
import NIOHTTP1

/// What a request is answered with, before it is bytes.
enum HTTPAnswer {
  /// A call's `{"result": …}`.
  case result([UInt8])
  /// `{"error": …}` on the status of its code, or on another.
  case error(CallError, status: Int? = nil, allow: String? = nil)
  case healthy
  /// To a preflight.
  case allowed
  case file(DemoFiles.File)
  /// It is to be asked for at another path.
  case moved(String)
  /// What a streamed call answers that has nothing to stream: its one and last line.
  case lastLine([UInt8])
  /// A stream, for which the connection leaves HTTP.
  case stream(StreamStart)
  /// The front door's, which is given the request's head: the connection leaves HTTP.
  case handshake(ByteBuffer)

  init(_ result: Result<[UInt8], CallError>) {
    switch result {
    case .success(let text): self = .result(text)
    case .failure(let error): self = .error(error)
    }
  }

  static func wrongMethod(_ name: String, allow: String) -> HTTPAnswer {
    .error(CallError(.invalidArgument, "\(name) takes \(allow) only"), status: 405, allow: allow)
  }

  /// What stands around it.
  struct Frame {
    /// The page's origin, when its pages may read the answer.
    var allowedOrigin: String?
    var keepAlive: Bool
    /// Answers to HEAD end behind the head.
    var withoutBody = false
    var date: [UInt8]
  }

  /// Appends head and body.
  func write(_ frame: Frame, to out: inout ByteBuffer) {
    switch self {
    case .result(let text):
      HTTPAnswer.head(200, frame, to: &out)
      HTTPAnswer.json(bytes: text.count + 11, to: &out)
      if frame.withoutBody { return }
      out.writeStaticString("{\"result\":")
      out.writeBytes(text)
      out.writeStaticString("}")
    case .error(let error, let status, let allow):
      HTTPAnswer.head(status ?? error.code.httpStatus, frame, to: &out)
      if let allow { out.writeString("Allow: \(allow)\r\n") }
      if let retryAfter = error.retryAfterMilliseconds {
        out.writeString("Retry-After: \((retryAfter + 999) / 1000)\r\n")
      }
      if error.code == .unauthenticated { out.writeStaticString("WWW-Authenticate: Bearer\r\n") }
      var json = JSONWriter(capacity: 64 + error.message.utf8.count)
      json.object { CallAnswer.write(.failure(error), to: &$0) }
      HTTPAnswer.json(bytes: json.bytes.count, to: &out)
      if !frame.withoutBody { out.writeBytes(json.bytes) }
    case .healthy:
      HTTPAnswer.head(200, frame, to: &out)
      out.writeStaticString("Cache-Control: no-store\r\n")
      HTTPAnswer.json(bytes: 15, to: &out)
      if !frame.withoutBody { out.writeStaticString("{\"status\":\"ok\"}") }
    case .lastLine(let line):
      HTTPAnswer.streamHead(frame, to: &out)
      out.writeString("Content-Length: \(line.count)\r\n\r\n")
      if !frame.withoutBody { out.writeBytes(line) }
    case .stream:
      preconditionFailure("a stream writes its own answer")
    case .handshake:
      preconditionFailure("the front door answers a handshake")
    case .file(let file):
      HTTPAnswer.head(200, frame, to: &out)
      out.writeString("Content-Type: \(file.type)\r\n")
      out.writeString(DemoFiles.headers)
      out.writeString("Content-Length: \(file.bytes.count)\r\n\r\n")
      if !frame.withoutBody { out.writeBytes(file.bytes) }
    case .moved(let path):
      HTTPAnswer.head(308, frame, to: &out)
      out.writeString("Location: \(path)\r\nContent-Length: 0\r\n\r\n")
    case .allowed:
      HTTPAnswer.head(204, frame, to: &out)
      if frame.allowedOrigin != nil {
        out.writeString(HTTPAnswer.allowances)
      }
      out.writeStaticString("\r\n")
    }
  }

  /// The headers are those that Firebase's SDKs send, beside the token and the type.
  private static let allowances =
    "Access-Control-Allow-Methods: POST, GET, OPTIONS\r\n"
    + "Access-Control-Allow-Headers: Authorization, Content-Type, Firebase-Instance-ID-Token, "
    + "X-Firebase-AppCheck, X-Firebase-Client, X-Firebase-GMPID, Last-Event-ID\r\n"
    + "Access-Control-Max-Age: 7200\r\n"

  private static func head(_ status: Int, _ frame: Frame, to out: inout ByteBuffer) {
    if status == 200 {
      out.writeStaticString("HTTP/1.1 200 OK\r\nDate: ")
    } else {
      out.writeString("HTTP/1.1 \(status) \(HTTPResponseStatus(statusCode: status).reasonPhrase)\r\nDate: ")
    }
    out.writeBytes(frame.date)
    out.writeStaticString("\r\nVary: Origin\r\n")
    if let origin = frame.allowedOrigin {
      out.writeStaticString("Access-Control-Allow-Origin: ")
      out.writeString(origin)
      out.writeStaticString("\r\n")
    }
    if !frame.keepAlive { out.writeStaticString("Connection: close\r\n") }
  }

  /// The head of an event stream, without the empty line behind it.
  static func streamHead(_ frame: Frame, to out: inout ByteBuffer) {
    head(200, frame, to: &out)
    // Proxies are to pass on what they get as they get it.
    out.writeStaticString("Content-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n")
  }

  private static func json(bytes: Int, to out: inout ByteBuffer) {
    out.writeStaticString("Content-Type: application/json\r\nContent-Length: ")
    out.writeString(String(bytes))
    out.writeStaticString("\r\n\r\n")
  }
}
