import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct AddChatMembersTests {
  @Test func asksForTheChangeAndAnswersIt() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(MembersChanged(added: 2, removed: 0, members: 5)) }
    #expect(
      try fixture.call("addChatMembers", #"{"chatId":"c","userIds":["bob","ann"]}"#)
        == #"{"success":true,"chatId":"c","added":2,"removed":0,"members":5}"#)
    #expect(
      (fixture.services.asked.first as? ChangeMembers)
        == ChangeMembers(chat: "c", change: .add, users: ["ann", "bob"]))
  }

  @Test func ofNobodyIsAMistake() async throws {
    let fixture = try await CallFixture()
    #expect(fixture.refusal("addChatMembers", #"{"chatId":"c","userIds":[]}"#) == "userIds is empty")
    #expect(fixture.services.asked.isEmpty)
  }
}
