import AvaloCore

/// What one event of a streamed call says: a frame, or the call's answer, which ends it.
enum StreamMessage: Equatable {
  case frame(ServerFrame)
  case ended(TransportEnding)
  /// Something that a later server says.
  case unknown

  /// Reads an event's data.
  init(_ data: [UInt8]) throws {
    let text = try JSONText(validating: data)
    let (message, ending) = text.read { view in
      (view["message"].map { JSONText($0) }, StreamMessage.ending(view))
    }
    if let message {
      self = .frame(try ServerFrame(message))
    } else if let ending {
      self = .ended(ending)
    } else {
      self = .unknown
    }
  }

  private static func ending(_ view: JSONView) -> TransportEnding? {
    if let error = view["error"] { return refusal(.refused(CallError(view: error))) }
    guard let result = view["result"] else { return nil }
    if result["enabled"]?.boolean == false {
      return TransportEnding(code: 4504, text: "the engine is off for the user")
    }
    return TransportEnding(
      code: Int(clamping: result["code"]?.integer ?? 0), text: result["reason"]?.string ?? "the server ended the stream"
    )
  }

  /// Of an answer that is no stream.
  static func ending(_ reply: HTTPReply) -> TransportEnding {
    do {
      let result = try CallableClient.result(of: reply)
      if result.read({ $0["enabled"]?.boolean }) == false {
        return TransportEnding(code: 4504, text: "the engine is off for the user")
      }
      return TransportEnding(text: "the server does not stream its answer")
    } catch {
      return refusal(error)
    }
  }

  /// Who does not know streams says nothing against polls; nor does something on the way that refuses in words of its own.
  private static func refusal(_ error: ClientError) -> TransportEnding {
    if case .refused(let refusal) = error, refusal.code == .unimplemented || refusal.code == .unknown {
      return TransportEnding(text: error.description)
    }
    return TransportEnding(error)
  }
}
