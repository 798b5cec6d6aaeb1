import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct RemoveChatMembersTests {
  @Test func asksForTheChangeAndAnswersIt() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(MembersChanged(added: 0, removed: 2, members: 3)) }
    #expect(
      try fixture.call("removeChatMembers", #"{"chatId":"c","userIds":["bob","ann"]}"#)
        == #"{"success":true,"chatId":"c","added":0,"removed":2,"members":3}"#)
    #expect(
      (fixture.services.asked.first as? ChangeMembers)
        == ChangeMembers(chat: "c", change: .remove, users: ["ann", "bob"]))
  }

  @Test func ofNobodyIsAMistake() async throws {
    let fixture = try await CallFixture()
    #expect(fixture.refusal("removeChatMembers", #"{"chatId":"c","userIds":[]}"#) == "userIds is empty")
    #expect(fixture.services.asked.isEmpty)
  }
}
