import AvaloCore
import Testing

@testable import AvaloGateway

@Suite struct UnsubscribeTests {
  @Test func unsubscribesASession() async throws {
    let fixture = try await CallFixture()
    let session = FakeSession()
    let data = #"{"subscriptions":["chat:c1","nonsense"]}"#
    #expect(
      try fixture.call("unsubscribe", data, as: .user(CallFixture.ann), carrier: .session(session))
        == #"{"success":true}"#)
    #expect(session.unsubscribed == ["chat:c1"])
    #expect(
      throws: CallError(.failedPrecondition, "unsubscribe is for WebSockets: over HTTP nothing is subscribed")
    ) { try fixture.call("unsubscribe", data, as: .user(CallFixture.ann)) }
    for (data, message) in [
      ("{}", "subscriptions is missing: a list of topics"), ("7", "data must be an object with subscriptions"),
      (#"{"topics":[]}"#, #"unknown field "topics"; there are: subscriptions"#),
    ] {
      #expect(throws: CallError(.invalidArgument, message)) {
        try fixture.call("unsubscribe", data, as: .user(CallFixture.ann), carrier: .session(session))
      }
    }
  }
}
