import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct SendTypingIndicatorTests {
  private let name = "sendTypingIndicatorV1"
  private let ann = Caller.user(CallFixture.ann)

  @Test func tellsThePresenceWorkerWhoTypesWhere() async throws {
    let fixture = try await CallFixture()
    #expect(try fixture.call(name, #"{"chatId":"c1","isTyping":true}"#, as: ann) == #"{"success":true}"#)
    try fixture.call(name, #"{"chatId":"c1","isTyping":false}"#, as: ann, carrier: .session(FakeSession()))
    #expect(
      fixture.services.typed == [
        SetTyping(user: "ann", chat: "c1", session: 0, device: "", isTyping: true),
        SetTyping(user: "ann", chat: "c1", session: 77, device: "phone", isTyping: false),
      ])
  }

  @Test func aMemberWhomOnlyTheLogKnowsMayType() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { request in
      #expect(request as? MembershipQuery == MembershipQuery(entries: [.init(chat: "c2", user: "ann")]))
      return .success(MembershipAnswer(since: [18]))
    }
    try fixture.call(name, #"{"chatId":"c2","isTyping":true}"#, as: ann)
    #expect(fixture.services.typed.map(\.chat) == ["c2"])
    fixture.services.answer = { _ in .failure(.schedulerAway) }
    #expect(fixture.refusal(name, #"{"chatId":"c2","isTyping":true}"#, as: ann)?.hasPrefix("UNAVAILABLE") == true)
  }

  @Test func isForTheChatsParticipants() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(MembershipAnswer(since: [0])) }
    let refusal = "PERMISSION_DENIED: the user is not in the chat c2"
    #expect(fixture.refusal(name, #"{"chatId":"c2","isTyping":true}"#, as: ann) == refusal)
    let session = FakeSession()
    #expect(throws: CallError(.permissionDenied, "the user is not in the chat c2")) {
      try fixture.call(name, #"{"chatId":"c2","isTyping":true}"#, as: ann, carrier: .session(session))
    }
    // Whoever was let into the chat's topic is in the chat.
    session.topics = [Topic("chat:c2")!]
    try fixture.call(name, #"{"chatId":"c2","isTyping":true}"#, as: ann, carrier: .session(session))
    #expect(fixture.services.typed.map(\.chat) == ["c2"])
  }

  @Test func refusesWhatItCannotSay() async throws {
    let fixture = try await CallFixture()
    for (data, message) in [
      ("null", "data must be an object with chatId and isTyping"),
      (#"{"isTyping":true}"#, "chatId is missing: the chat that is typed in"),
      (#"{"chatId":"c1"}"#, "isTyping is missing: true or false"),
      (#"{"chatId":"c1","isTyping":"yes"}"#, #"isTyping must be true or false, not "yes""#),
      (#"{"chatId":"c 1","isTyping":true}"#, #"chatId must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not "c 1""#),
      (#"{"chatId":"c1","isTyping":true,"text":"…"}"#, #"unknown field "text"; there are: chatId, isTyping"#),
    ] {
      #expect(fixture.refusal(name, data, as: ann) == message)
    }
    #expect(fixture.refusal(name, #"{"chatId":"c1","isTyping":true}"#)?.hasPrefix("PERMISSION_DENIED") == true)
    fixture.services.typingAnswer = .failure(.presenceAway)
    #expect(fixture.refusal(name, #"{"chatId":"c1","isTyping":true}"#, as: ann)?.hasPrefix("UNAVAILABLE") == true)
  }
}
