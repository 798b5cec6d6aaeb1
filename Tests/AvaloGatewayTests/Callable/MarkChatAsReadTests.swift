import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct MarkChatAsReadTests {
  private let name = "markChatAsReadV1"

  @Test func answersAsStockClientsExpect() async throws {
    let fixture = try await CallFixture()
    #expect(
      try fixture.call(name, #"{"chatId":"c1"}"#, as: .user(CallFixture.ann))
        == #"{"success":true,"markedCount":15,"readAt":{"_seconds":1698620000,"_nanoseconds":123000000},"#
        + #""readAtMs":1698620000123}"#)
    _ = try fixture.call(name, #"{"chatId":"other"}"#, as: .user(CallFixture.ann))
    // Whether the user is in the chat is for the log to know when their token does not say so.
    #expect(
      fixture.services.marks == [
        MarkRead(user: "ann", chat: "c1", isParticipant: true),
        MarkRead(user: "ann", chat: "other", isParticipant: false),
      ])
    _ = try fixture.call(name, #"{"chatId":"c1","requestId":"r-1"}"#, as: .user(CallFixture.ann))
    #expect(
      fixture.services.marks.last == MarkRead(user: "ann", chat: "c1", isParticipant: true, request: "r-1"))
    fixture.services.markAnswer = .success(MarkedRead(count: 0, readMilliseconds: 0))
    #expect(
      try fixture.call(name, #"{"chatId":"c1"}"#, as: .user(CallFixture.ann))
        == #"{"success":true,"markedCount":0,"readAt":null,"readAtMs":0}"#)
  }

  @Test func refusesWhatItCannotMark() async throws {
    let fixture = try await CallFixture()
    func refusal(_ data: String) -> String? { fixture.refusal(name, data, as: .user(CallFixture.ann)) }
    #expect(refusal("{}") == "chatId is missing: which chat was read?")
    #expect(refusal("null") == "data must be an object with chatId")
    #expect(refusal(#"{"chatId":"a b"}"#)?.hasPrefix("chatId must be 1 to 128 of") == true)
    #expect(refusal(#"{"chatId":"c1","messageId":"m"}"#)?.hasPrefix("unknown field \"messageId\"") == true)
    #expect(fixture.refusal(name, #"{"chatId":"c1"}"#)?.hasPrefix("PERMISSION_DENIED") == true)
    #expect(fixture.refusal(name, #"{"chatId":"c1"}"#, as: .anonymous)?.hasPrefix("UNAUTHENTICATED") == true)
    fixture.services.markAnswer = .failure(CallError(.permissionDenied, "ann is not in chat c9"))
    #expect(refusal(#"{"chatId":"c9"}"#) == "PERMISSION_DENIED: ann is not in chat c9")
  }
}
