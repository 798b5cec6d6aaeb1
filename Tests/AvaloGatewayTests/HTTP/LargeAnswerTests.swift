import AvaloCore
import AvaloTesting
import AvaloWire
import Testing

@testable import AvaloGateway

/// Answers that are more than a channel buffers with ease, over real sockets.
@Suite(.serialized) struct LargeAnswerTests {
  /// What is written twice is taken for the answer to whatever is asked next.
  @Test(arguments: [TransportKind.nio, .nioTLS]) func leaveOnce(kind: TransportKind) async throws {
    try await TransportRig.run(kind, answersHTTP: true) { rig in
      let backend = try #require(rig.backend)
      try backend.playLargePresence()
      let users = (0..<1000).map { "\"u\($0)\"" }.joined(separator: ",")
      let probe = try rig.dial()
      for _ in 0..<5 {
        try probe.send(backend.call("getPresenceV1", #"{"userIds":[\#(users)]}"#))
        let large = try probe.answer()
        #expect(large.body.utf8.count > 256 << 10 && large.body.hasSuffix("}}}"))
        try probe.send(HTTPBackend.get)
        #expect(try probe.answer().body == #"{"status":"ok"}"#)
      }
    }
  }
}
