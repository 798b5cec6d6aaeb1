import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct StreamMessageTests {
  private func read(_ text: String) throws -> StreamMessage { try StreamMessage(Array(text.utf8)) }

  @Test func isAFrameOrAnEnd() throws {
    #expect(
      try read(#"{"message":{"live":{"topic":"user:u","epoch":"0000000000000001","offset":4}}}"#)
        == .frame(.live(topic: "user:u", Position(epoch: Epoch(rawValue: 1), offset: 4))))
    #expect(
      try read(#"{"result":{"code":4000,"reason":"going_away"}}"#)
        == .ended(TransportEnding(code: 4000, text: "going_away")))
    guard case .ended(let off) = try read(#"{"result":{"enabled":false}}"#) else { throw CancellationError() }
    #expect(off.kind == .stop(.featureDisabled))
    #expect(try read(#"{"later":1}"#) == .unknown)
  }

  @Test func anErrorIsTheServersWordButForOneThatKnowsNoStreams() throws {
    let later = #"{"error":{"status":"UNAVAILABLE","message":"later","details":{"retryAfterMs":7}}}"#
    guard case .ended(let ending) = try read(later) else { throw CancellationError() }
    #expect(ending.status == .unavailable && ending.retryAfterMilliseconds == 7)
    #expect(ending.isTheServersWord)
    let never = #"{"error":{"status":"UNIMPLEMENTED","message":"nothing is streamed here"}}"#
    guard case .ended(let ending) = try read(never) else { throw CancellationError() }
    #expect(!ending.isTheServersWord)
  }

  @Test func whatIsNoJSONIsNoMessage() {
    for text in ["", "x", #"{"message":7}"#, #"{"message":{"event":{},"offset":1}}"#] {
      #expect(throws: (any Error).self) { try read(text) }
    }
  }

  @Test func anAnswerThatIsNoStreamSaysWhy() {
    func ending(_ status: Int, _ body: String) -> TransportEnding {
      StreamMessage.ending(HTTPReply(status: status, headers: [], body: Array(body.utf8)))
    }
    #expect(ending(401, #"{"error":{"status":"UNAUTHENTICATED","message":"no"}}"#).kind == .unauthenticated)
    #expect(ending(200, #"{"result":{"enabled":false}}"#).kind == .stop(.featureDisabled))
    // Something on the way, or a server that does not stream: a lesser transport may pass.
    for (status, body) in [
      (200, #"{"result":{"enabled":true}}"#), (502, "<html>bad gateway</html>"), (403, "<html>blocked</html>"),
      (403, #"{"error":"forbidden"}"#), (403, #"{"error":{"code":403,"message":"policy"}}"#),
    ] {
      #expect(!ending(status, body).isTheServersWord, "\(body)")
      #expect(ending(status, body).kind == .retry, "\(body)")
    }
  }
}
