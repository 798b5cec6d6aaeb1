import AvaloCore
import AvaloReactor

/// How the sessions of a hub are talked to. One for all of a hub: a frame is encoded once for all of them.
enum Face: Sendable {
  case webSocket
  /// `GET /events`, for `EventSource`: each frame is one event's data, and its id says where the stream can be resumed.
  case eventStream
  /// A callable that was called with `Accept: text/event-stream`, as Firebase's SDKs stream: frames are its messages, and
  /// its last line is the call's result or error.
  case callStream
  /// `realtimePingV1`: what comes is gathered into one answer.
  case poll

  /// For metrics.
  var transport: String {
    switch self {
    case .webSocket: "websocket_tls"
    case .eventStream: "sse"
    case .callStream: "call_stream"
    case .poll: "poll"
    }
  }

  var framing: Framing {
    switch self {
    case .webSocket: .webSocket
    case .eventStream:
      .eventStream(before: "data: ", after: "\n\n") { code, reason in
        Face.line("event: close\ndata: ") { Face.ending(code, reason, in: &$0) }
      }
    case .callStream:
      .eventStream(before: "data: {\"message\":", after: "}\n\n") { code, reason in
        Face.line("data: ") { json in
          json.object { json in
            json.key("result")
            Face.ending(code, reason, in: &json)
          }
        }
      }
    case .poll: .eventStream(before: "", after: ",") { _, _ in [] }
    }
  }

  /// The last line of a streamed call that failed.
  static func failure(_ error: CallError) -> [UInt8] {
    line("data: ") { json in json.object { CallAnswer.write(.failure(error), to: &$0) } }
  }

  /// The last line of a streamed call that succeeded; `result` is JSON.
  static func success(_ result: [UInt8]) -> [UInt8] {
    // A line end would be the line's end; in JSON it is white space.
    let result = result.map { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") ? UInt8(ascii: " ") : $0 }
    return line("data: ") { json in json.object { CallAnswer.write(.success(result), to: &$0) } }
  }

  static func lastLine(_ result: Result<[UInt8], CallError>) -> [UInt8] {
    switch result {
    case .success(let result): success(result)
    case .failure(let error): failure(error)
    }
  }

  private static func ending(_ code: UInt16, _ reason: UnsafeRawBufferPointer, in json: inout JSONWriter) {
    json.object {
      $0.member("code", code)
      $0.member("reason", utf8: reason)
    }
  }

  private static func line(_ start: StaticString, _ write: (inout JSONWriter) -> Void) -> [UInt8] {
    var json = JSONWriter(capacity: 128)
    write(&json)
    return Array(start.description.utf8) + json.bytes + [UInt8(ascii: "\n"), UInt8(ascii: "\n")]
  }
}

/// The head of a stream's answer. Which of the two it is, is known when the session is ready or refused, and until then
/// nothing is said.
struct StreamAnswer {
  let accepted: [UInt8]
  let refused: (CallError) -> [UInt8]
}
