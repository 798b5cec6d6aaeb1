import AvaloCore
import AvaloSystem
import NIOCore

/// Asks avalod over its control socket, as `avaloctl` does. Only what reads: the paths that can be asked are those written
/// down in this target. avalod answers since this process has its user (docs/console.md).
struct ControlSocket: Sendable {
  /// Why there is no answer to show.
  struct Trouble: Error, Equatable {
    enum Kind: Equatable {
      /// avalod, or the worker that was meant, does not answer.
      case away
      /// It answered that it will not, with this status: there is no such topic, the question makes no sense.
      case refused(Int)
    }
    var kind: Kind
    /// One sentence for people.
    var message: String
  }

  let path: @Sendable () -> String
  let group: any EventLoopGroup
  let metrics: ConsoleMetrics

  /// What is answered to a `GET`, with 200.
  func get(
    _ path: String, _ query: [(name: String, value: String)] = [], timeout: Duration = ConsoleLimits.askTimeMax
  ) async throws(Trouble) -> [UInt8] {
    try await ask(HTTPRequest(method: "GET", path: path, query: ControlSocket.text(of: query)), timeout)
  }

  /// The answer of one of the functions for servers that read.
  func call(_ function: ReadingFunction, _ data: JSONWriter) async throws(Trouble) -> [UInt8] {
    let request = HTTPRequest(method: "POST", path: "/workers/gateway/call/\(function.rawValue)", body: data.bytes)
    return try await ask(request, ConsoleLimits.askTimeMax)
  }

  /// Those, and no others, whoever asks this page for what.
  enum ReadingFunction: String {
    case getPresenceV1, listOnlineUsers, listConnections
  }

  private func ask(_ request: HTTPRequest, _ timeout: Duration) async throws(Trouble) -> [UInt8] {
    let response: HTTPResponse
    do {
      response = try await HTTPClient.send(
        request, unixSocket: path(), timeout: timeout, bodyBytesMax: ConsoleLimits.answerBytesMax, on: group)
    } catch {
      metrics.questions.with(ConsoleMetrics.Question.unanswered.rawValue).add(1)
      throw Trouble(kind: .away, message: ControlSocket.sentence(error, request.path))
    }
    guard response.status != 200 else {
      metrics.questions.with(ConsoleMetrics.Question.answered.rawValue).add(1)
      return response.body
    }
    metrics.questions.with(ConsoleMetrics.Question.refused.rawValue).add(1)
    throw ControlSocket.trouble(response)
  }

  // MARK: Words

  /// Who of them is away cannot be told from here, but who was asked can.
  private static func sentence(_ error: any Error, _ path: String) -> String {
    let parts = path.split(separator: "/")
    let asked = parts.count > 1 && parts[0] == "workers" ? "The worker \(parts[1])" : "avalod"
    return switch error {
    case HTTPClientError.timeout: "\(asked) does not answer in time."
    case HTTPClientError.closed: "avalod ended the connection without an answer."
    case HTTPClientError.answerTooLarge: "avalod's answer is too large to show."
    case let error as IOError where error.errnoCode == 13: "This worker may not use avalod's control socket."
    default: "avalod does not answer at its control socket."
    }
  }

  /// 502 to 504 are of a worker that is away, or of one that cannot now.
  static func trouble(_ response: HTTPResponse) -> Trouble {
    let kind: Trouble.Kind = (502...504).contains(response.status) ? .away : .refused(response.status)
    return Trouble(kind: kind, message: String(message(response.body).prefix(500)))
  }

  /// Plain text, the `error` of a document, or that error's own message.
  private static func message(_ body: [UInt8]) -> String {
    let said: String? = body.withUnsafeBytes { bytes in
      guard let error = try? JSONView(validating: bytes)["error"] else { return nil }
      return error.string ?? error["message"]?.string
    }
    var text = Substring(said ?? String(decoding: body, as: UTF8.self))
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }

  /// Parameters, each escaped (RFC 3986 §2.3).
  static func text(of query: [(name: String, value: String)]) -> String {
    query.map { "\($0.name)=\(escaped($0.value))" }.joined(separator: "&")
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
