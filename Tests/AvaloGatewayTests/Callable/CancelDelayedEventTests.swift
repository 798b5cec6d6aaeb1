import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct CancelDelayedEventTests {
  private let name = "cancelDelayedEvent"

  @Test(arguments: [
    (#"{"eventId":"e 1"}"#, ""), (#"{"eventId":"e 1","targetUserId":"ann"}"#, "user:ann"),
    (#"{"topic":"chat:c","eventId":"e 1"}"#, "chat:c"),
  ]) func takesAnEventBack(data: String, topic: String) async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(DelayedCancelled(topic: Topic("user:ann")!, duplicate: false)) }
    let answer = try fixture.call(name, data)
    #expect(answer == #"{"success":true,"eventId":"e 1","topic":"user:ann","duplicate":false}"#)
    #expect(
      (fixture.services.asked.first as? CancelDelayed)
        == CancelDelayed(owner: "backend", eventID: "e 1", topic: topic))
  }

  @Test func passesOnWhyNot() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .failure(CallError(.failedPrecondition, "it was delivered already")) }
    #expect(fixture.refusal(name, #"{"eventId":"e"}"#) == "FAILED_PRECONDITION: it was delivered already")
  }

  @Test(arguments: [
    ("{}", "eventId is missing: which event?"),
    (#"{"eventId":""}"#, #"eventId must be a text of 1 to 128 bytes without control characters, not """#),
    (
      #"{"eventId":"e","topic":"chat:c","targetUserId":"a"}"#,
      "targetUserId and topic are both there: give one of them"
    ),
    (#"{"eventId":"e","topic":"c"}"#, #"topic must be a topic such as "user:u" or "chat:c", not "c""#),
    (#"{"id":"e"}"#, #"unknown field "id"; there are: eventId, topic, targetUserId"#),
  ]) func saysWhatIsWrong(data: String, message: String) async throws {
    #expect(try await CallFixture().refusal(name, data) == message)
  }

  @Test func isForServersWithTheScope() async throws {
    let fixture = try await CallFixture()
    let other = APIKey(id: "p", name: "P", owner: "p", scopes: .broadcast)
    #expect(
      fixture.refusal(name, #"{"eventId":"e"}"#, as: .server(other))
        == "PERMISSION_DENIED: the API key \"P\" does not have the scope \"publish\"")
    #expect(
      fixture.refusal(name, #"{"eventId":"e"}"#, as: .user(CallFixture.ann))
        == "PERMISSION_DENIED: this function is for servers: call it with an API key")
  }
}
