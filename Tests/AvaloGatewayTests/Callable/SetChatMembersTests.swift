import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

/// What `setChatMembers` does, and what it shares with `addChatMembers` and `removeChatMembers`.
@Suite struct SetChatMembersTests {
  private func answering(_ answer: any WireMessage) async throws -> CallFixture {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(answer) }
    return fixture
  }

  @Test func setsMembers() async throws {
    let fixture = try await answering(MembersChanged(added: 2, removed: 1, members: 5))
    let answer = try fixture.call("setChatMembers", #"{"chatId":"c","userIds":["bob","ann","bob"]}"#)
    #expect(answer == #"{"success":true,"chatId":"c","added":2,"removed":1,"members":5}"#)
    #expect(
      fixture.services.asked.map { $0 as? ChangeMembers }
        == [ChangeMembers(chat: "c", change: .set, users: ["ann", "bob"])])
  }

  @Test func mayEmptyAChat() async throws {
    let fixture = try await answering(MembersChanged(added: 0, removed: 3, members: 0))
    try fixture.call("setChatMembers", #"{"chatId":"c","userIds":[]}"#)
    #expect((fixture.services.asked.first as? ChangeMembers)?.users == [])
  }

  @Test(arguments: [
    (#"{"userIds":["a"]}"#, "chatId is missing: the id of a chat"),
    (#"{"chatId":"c"}"#, "userIds is missing: a list of user ids"),
    (#"{"chatId":"a b","userIds":["a"]}"#, #"chatId must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not "a b""#),
    (#"{"chatId":"c","userIds":["a",7]}"#, "userIds[1] must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not 7"),
    (#"{"chatId":"c","userIds":{}}"#, "userIds must be a list of user ids, not {}"),
    (#"{"chatId":"c","users":["a"]}"#, #"unknown field "users"; there are: chatId, userIds"#),
    ("null", "data must be an object with chatId and userIds"),
  ]) func saysWhatIsWrong(data: String, message: String) async throws {
    let fixture = try await CallFixture()
    #expect(fixture.refusal("setChatMembers", data) == message)
    #expect(fixture.services.asked.isEmpty)
  }

  @Test func takesAThousandUsersAndNoMore() async throws {
    let fixture = try await answering(MembersChanged(added: 1000, removed: 0, members: 1000))
    func data(_ count: Int) -> String {
      #"{"chatId":"c","userIds":[\#((0..<count).map { "\"u\($0)\"" }.joined(separator: ","))]}"#
    }
    try fixture.call("addChatMembers", data(1000))
    #expect(fixture.refusal("addChatMembers", data(1001)) == "userIds may name at most 1000 users")
  }

  @Test(arguments: ["setChatMembers", "addChatMembers", "removeChatMembers"])
  func isForServersWithTheScope(name: String) async throws {
    let fixture = try await CallFixture()
    let data = #"{"chatId":"c","userIds":["a"]}"#
    let other = APIKey(id: "p", name: "P", owner: "p", scopes: [.publish, .connections])
    #expect(
      fixture.refusal(name, data, as: .server(other))
        == "PERMISSION_DENIED: the API key \"P\" does not have the scope \"membership\"")
    #expect(
      fixture.refusal(name, data, as: .user(CallFixture.ann))
        == "PERMISSION_DENIED: this function is for servers: call it with an API key")
    #expect(
      fixture.refusal(name, data, as: .anonymous)
        == "UNAUTHENTICATED: an API key is missing: Authorization: Bearer avk_…")
    #expect(fixture.services.asked.isEmpty)
  }

  @Test func saysThatAnUnknownOutcomeIsToBeTriedAgain() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .failure(CallError(.unavailable, "away", retryAfterMilliseconds: 1000)) }
    let error = #expect(throws: CallError.self) {
      try fixture.call("removeChatMembers", #"{"chatId":"c","userIds":["a"]}"#)
    }
    #expect(error?.message == "away; it is not known whether the change was made: call again, that does no harm")
    #expect(error?.retryAfterMilliseconds == 1000)
    fixture.services.answer = { _ in .failure(CallError(.resourceExhausted, "too many")) }
    #expect(throws: CallError(.resourceExhausted, "too many")) {
      try fixture.call("addChatMembers", #"{"chatId":"c","userIds":["a"]}"#)
    }
  }
}
