import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

/// What servers publish of users that is no event of a log.
@Suite struct PublishedFactTests {
  private let name = "publishRealtimeEvent"

  @Test(arguments: [
    (#""topic":"chat:c","sourceUserId":"ann","payload":{}"#, true),
    (#""sourceUserId":"ann","chatId":"c","payload":{"isTyping":true}"#, true),
    (#""targetUserId":"bob","payload":{"chatId":"c","userId":"ann","isTyping":false}"#, false),
  ]) func typingGoesItsOwnWay(fields: String, isTyping: Bool) async throws {
    let fixture = try await CallFixture()
    let answer = try fixture.call(name, #"{"type":"typing_indicator","eventId":"e",\#(fields)}"#)
    #expect(
      answer == #"{"success":true,"eventId":"e","topic":"chat:c","durability":"none","duplicate":false}"#)
    #expect(
      fixture.services.typed == [SetTyping(user: "ann", chat: "c", session: 0, device: "", isTyping: isTyping)])
    #expect(fixture.services.published.isEmpty && fixture.admission.publishesInFlight == 0)
  }

  @Test(arguments: [
    #""topic":"presence:ann","payload":{"status":"busy"}"#,
    #""targetUserId":"ann","payload":{"status":"busy"}"#,
    #""sourceUserId":"ann","targetUserId":"bob","payload":{"status":"busy"}"#,
    #""payload":{"userId":"ann","status":"busy"}"#,
  ]) func presenceGoesItsOwnWay(fields: String) async throws {
    let fixture = try await CallFixture()
    let answer = try fixture.call(name, #"{"type":"PRESENCE_UPDATE","eventId":"e",\#(fields)}"#)
    #expect(
      answer == #"{"success":true,"eventId":"e","topic":"presence:ann","durability":"none","duplicate":false}"#)
    #expect(
      (fixture.services.presenceRequests as? [SetPresence]) == [SetPresence(user: "ann", status: .set(.busy))])
    #expect(fixture.services.published.isEmpty)
  }

  @Test(arguments: [
    (#""type":"typing_indicator","chatId":"c","payload":{}"#, "sourceUserId is missing: which user is it about?"),
    (
      #""type":"typing_indicator","sourceUserId":"ann","payload":{}"#,
      "chatId is missing: the chat that is typed in"
    ),
    (
      #""type":"typing_indicator","sourceUserId":"ann","topic":"chat:d","chatId":"c","payload":{}"#,
      "topic is chat:d, and the chat that is typed in c"
    ),
    (
      #""type":"typing_indicator","sourceUserId":"ann","topic":"chat:c","payload":{"isTyping":1}"#,
      "payload.isTyping must be true or false, not 1"
    ),
    (
      #""type":"typing_indicator","sourceUserId":"ann","topic":"chat:c","payload":{},"deliverAt":1700000001000"#,
      "deliverAt is for events that are kept, not for typing_indicator"
    ),
    (
      #""type":"presence_update","sourceUserId":"ann","payload":{"status":"here"}"#,
      #"status must be one of online, away, busy, offline, or null for none of one's own, not "here""#
    ),
  ]) func saysWhatIsWrong(fields: String, message: String) async throws {
    #expect(try await CallFixture().refusal(name, "{\(fields)}") == message)
  }

  /// Users have functions of their own for it.
  @Test func isForServers() async throws {
    let fixture = try await CallFixture()
    let data = #"{"type":"typing_indicator","topic":"chat:c1","payload":{}}"#
    #expect(
      fixture.refusal(name, data, as: .user(CallFixture.ann))
        == "PERMISSION_DENIED: users say that they are typing with sendTypingIndicatorV1, and how they are with updatePresenceV1"
    )
    let other = APIKey(id: "p", name: "P", owner: "p", scopes: .read)
    #expect(fixture.refusal(name, data, as: .server(other))?.hasPrefix("PERMISSION_DENIED: the API key") == true)
    #expect(fixture.services.typed.isEmpty)
  }

  @Test func passesOnThatPresenceIsAway() async throws {
    let fixture = try await CallFixture()
    fixture.services.typingAnswer = .failure(.presenceAway)
    let data = #"{"type":"typing_indicator","topic":"chat:c","sourceUserId":"ann","payload":{}}"#
    #expect(throws: CallError.presenceAway) { try fixture.call(name, data) }
  }
}
