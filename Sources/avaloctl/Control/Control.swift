import AvaloClient
import AvaloCore
import Glibc

/// Asks avalod over its control socket.
struct Control {
  let socket: String

  func status() async throws -> JSONText {
    let reply = try await ask(HTTPRequest("GET", "/status"))
    guard reply.status == 200, let document = try? JSONText(validating: reply.body) else {
      throw ToolError.failed("avalod answered \(reply.status): \(reply.text.prefix(300))")
    }
    return document
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
    let reply = try await client.send(request, timeout: timeout)
    await client.close()
    if reply.status == 403 { throw ToolError.failed(Control.sentence(reply)) }
    return reply
  }

  /// What avalod says for people, without the line's end.
  static func sentence(_ reply: HTTPReply) -> String {
    String(reply.text.prefix(2000).reversed().drop { $0.isWhitespace }.reversed())
  }
}
