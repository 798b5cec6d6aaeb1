import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct GetChatMembersTests {
  private func answering(_ answer: any WireMessage) async throws -> CallFixture {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(answer) }
    return fixture
  }

  @Test func listsAPage() async throws {
    let fixture = try await answering(
      MemberList(total: 3, members: [.init(user: "ann", since: 1), .init(user: "bob", since: 18)], hasMore: true))
    let answer = try fixture.call("getChatMembers", #"{"chatId":"c","limit":2}"#)
    #expect(
      answer
        == #"{"chatId":"c","total":3,"members":[{"userId":"ann","since":1},{"userId":"bob","since":18}],"nextCursor":"bob"}"#
    )
    #expect((fixture.services.asked.first as? ListMembers) == ListMembers(chat: "c", after: "", limit: 2))

    fixture.services.answer = { _ in .success(MemberList(total: 3, members: [], hasMore: false)) }
    #expect(
      try fixture.call("getChatMembers", #"{"chatId":"c","cursor":"bob"}"#)
        == #"{"chatId":"c","total":3,"members":[],"nextCursor":null}"#)
    #expect((fixture.services.asked.last as? ListMembers) == ListMembers(chat: "c", after: "bob", limit: 100))
  }

  @Test(arguments: [
    ("{}", "chatId is missing: the id of a chat"),
    (#"{"chatId":"c","limit":0}"#, "limit must be an integer of 1 to 1000, not 0"),
    (#"{"chatId":"c","limit":1001}"#, "limit must be an integer of 1 to 1000, not 1001"),
    (#"{"chatId":"c","cursor":"a b"}"#, #"cursor must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not "a b""#),
    (#"{"chatId":"c","page":1}"#, #"unknown field "page"; there are: chatId, limit, cursor"#),
  ]) func saysWhatIsWrongWithAPage(data: String, message: String) async throws {
    #expect(try await CallFixture().refusal("getChatMembers", data) == message)
  }

  @Test func isForServersWithTheScope() async throws {
    let fixture = try await CallFixture()
    let other = APIKey(id: "p", name: "P", owner: "p", scopes: [.publish, .connections])
    #expect(
      fixture.refusal("getChatMembers", #"{"chatId":"c"}"#, as: .server(other))
        == "PERMISSION_DENIED: the API key \"P\" does not have the scope \"membership\"")
    #expect(fixture.services.asked.isEmpty)
  }
}
