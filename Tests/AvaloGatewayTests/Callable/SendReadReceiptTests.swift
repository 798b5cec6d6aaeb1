import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct SendReadReceiptTests {
  private let name = "sendReadReceiptV1"

  @Test func marksUpToTheMessage() async throws {
    let fixture = try await CallFixture()
    let answer = try fixture.call(name, #"{"chatId":"c1","messageId":"m7"}"#, as: .user(CallFixture.ann))
    #expect(answer.hasPrefix(#"{"success":true,"markedCount":15,"readAt":{"_seconds":1698620000,"#))
    #expect(
      fixture.services.marks == [MarkRead(user: "ann", chat: "c1", isParticipant: true, messageID: "m7")])
  }

  @Test func refusesWhatNamesNoMessage() async throws {
    let fixture = try await CallFixture()
    func refusal(_ data: String) -> String? { fixture.refusal(name, data, as: .user(CallFixture.ann)) }
    #expect(refusal(#"{"messageId":"m"}"#) == "chatId is missing: in which chat is the message?")
    #expect(refusal(#"{"chatId":"c"}"#) == "messageId is missing: up to which message?")
    #expect(refusal(#"{"chatId":"c","messageId":""}"#)?.hasPrefix("messageId must be") == true)
    #expect(refusal(#"{"chatId":"c","messageId":"m","at":1}"#)?.hasPrefix("unknown field \"at\"") == true)
  }
}
