import AvaloCore
import NIOCore

/// A request that is answered with a stream: who listens to what, and where the connection goes when its turn has come.
struct StreamStart {
  let streams: EventStreams
  let identity: Identity
  let request: ConnectRequest
  /// The client's, which it is to be counted for; `nil` when its connection is.
  let address: String?
}

extension StreamAnswer {
  /// The two ways that a stream's request is answered in HTTP.
  init(_ face: Face, _ frame: HTTPAnswer.Frame) {
    var head = ByteBuffer()
    HTTPAnswer.streamHead(frame, to: &head)
    head.writeStaticString("\r\n")
    accepted = Array(head.readableBytesView)
    refused = { error in
      var answer = ByteBuffer()
      let refusal: HTTPAnswer = face == .callStream ? .lastLine(Face.failure(error)) : .error(error)
      refusal.write(frame, to: &answer)
      return Array(answer.readableBytesView)
    }
  }
}
