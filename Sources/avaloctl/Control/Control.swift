import AvaloClient
import AvaloCore
import Glibc

/// Asks avalod over its control socket.
struct Control {
  let socket: String

  func status() async throws -> JSONText { try await get("/status") }

  /// What a path answers with 200, as JSON.
  func get(_ path: String, _ query: KeyValuePairs<String, String> = [:], timeout: Duration = .seconds(60)) async throws
    -> JSONText
  {
    try Control.document(try await ask(HTTPRequest("GET", Control.target(path, query)), timeout: timeout))
  }

  /// Calls one of the functions for servers, with all their rights.
  func call(_ name: String, _ data: JSONText) async throws -> JSONText {
    let reply = try await ask(HTTPRequest("POST", "/workers/gateway/call/\(name)", body: data.bytes))
    // A refusal has the protocol's form; that there is no gateway to ask is said by avalod itself.
    guard reply.header("content-type") == "application/json" else { throw ToolError.failed(Control.sentence(reply)) }
    return try CallableClient.result(of: reply)
  }

  func ask(_ request: HTTPRequest, timeout: Duration = .seconds(30)) async throws -> HTTPReply {
    // Said more precisely than the connect would: who to be, or what to start.
    if access(socket, F_OK) != 0, errno == ENOENT {
      throw ToolError.unavailable(
        "There is no control socket at \(socket), so avalod is not running there. Start it: make run, or systemctl "
          + "start avalod; if it runs elsewhere, name its socket with --control")
    }
    if access(socket, R_OK | W_OK) != 0, errno == EACCES {
      throw ToolError.failed("You may not use \(socket). Ask as avalod's own user, or as root")
    }
    let client = HTTPClient(.unix(path: socket))
    let result: Result<HTTPReply, any Error>
    do {
      result = .success(try await client.send(request, timeout: timeout))
    } catch {
      result = .failure(error)
    }
    await client.close()
    let reply = try result.get()
    if reply.status == 403 { throw ToolError.failed(Control.sentence(reply)) }
    return reply
  }

  /// The answer's document; what was not answered with 200 is told as it was said.
  static func document(_ reply: HTTPReply) throws -> JSONText {
    guard (200..<300).contains(reply.status) else { throw ToolError.failed(sentence(reply)) }
    guard let document = try? JSONText(validating: reply.body) else {
      throw ToolError.failed("avalod answered \(reply.status): \(reply.text.prefix(300))")
    }
    return document
  }

  /// What is said for people, without the line's end: plain text, or the `error` of a document.
  static func sentence(_ reply: HTTPReply) -> String {
    if let document = try? JSONText(validating: reply.body), let error = document.read({ $0["error"]?.string }) {
      return error
    }
    return String(reply.text.prefix(2000).reversed().drop { $0.isWhitespace }.reversed())
  }

  /// A path with its parameters, each escaped.
  static func target(_ path: String, _ query: KeyValuePairs<String, String>) -> String {
    target(path, query.map { (name: $0.key, value: $0.value) })
  }

  static func target(_ path: String, _ query: [(name: String, value: String)]) -> String {
    guard !query.isEmpty else { return path }
    return path + "?" + query.map { "\($0.name)=\(escaped($0.value))" }.joined(separator: "&")
  }

  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for byte in text.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: escaped.unicodeScalars.append(.init(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        escaped += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
      }
    }
    return escaped
  }
}
