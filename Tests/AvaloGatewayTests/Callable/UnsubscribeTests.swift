import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct UnsubscribeTests {
  private let name = "unsubscribe"

  @Test func unsubscribesASession() async throws {
    let fixture = try await CallFixture()
    let session = FakeSession()
    let data = #"{"connectionId":"another","subscriptions":["chat:c1","nonsense"]}"#
    #expect(
      try fixture.call(name, data, as: .user(CallFixture.ann), carrier: .session(session)) == #"{"success":true}"#)
    #expect(session.unsubscribed == ["chat:c1"])
    #expect(fixture.services.asked.isEmpty, "it has nothing to do with polls")
  }

  @Test func takesTopicsOffWhatAConnectionPollsOverHTTP() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(Polled(topics: [Topic("user:ann")!])) }
    let data = #"{"connectionId":"cn","subscriptions":["chat:c1","nonsense"]}"#
    #expect(try fixture.call(name, data, as: .user(CallFixture.ann)) == #"{"success":true}"#)
    #expect(
      fixture.services.asked.compactMap { $0 as? StopPolling }
        == [StopPolling(token: CallFixture.ann.token, connection: "cn", topics: [Topic("chat:c1")!])])
    fixture.services.answer = { _ in .failure(.schedulerAway) }
    let error = #expect(throws: CallError.self) { try fixture.call(name, data, as: .user(CallFixture.ann)) }
    #expect(error?.code == .unavailable)
  }

  @Test func refusesAnotherUsersConnection() async throws {
    let fixture = try await CallFixture()
    let error = #expect(throws: CallError.self) {
      try fixture.call(
        name, #"{"connectionId":"conn_others","subscriptions":["chat:c1"]}"#, as: .user(CallFixture.ann))
    }
    #expect(error?.code == .permissionDenied)
    #expect(fixture.services.asked.isEmpty)
  }

  @Test func saysWhatIsWrong() async throws {
    let fixture = try await CallFixture()
    for (data, message) in [
      (#"{"connectionId":"cn"}"#, "subscriptions is missing: a list of topics"),
      ("7", "data must be an object with subscriptions"),
      (#"{"topics":[]}"#, #"unknown field "topics"; there are: subscriptions, connectionId"#),
      (
        #"{"subscriptions":["chat:c1"],"connectionId":null}"#,
        "connectionId is missing: over HTTP, topics are removed from what polls of a connection are of"
      ),
    ] {
      #expect(throws: CallError(.invalidArgument, message)) {
        try fixture.call(name, data, as: .user(CallFixture.ann))
      }
    }
    #expect(fixture.services.asked.isEmpty)
  }
}
