import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct ReadTopicEventsTests {
  private let name = "readTopic"
  private let epoch = Epoch(rawValue: 0x1_42D1_C0AA)

  private func answering(_ page: TopicPage) async throws -> CallFixture {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(page) }
    return fixture
  }

  private func row(_ offset: UInt64, chatID: String = "", messageID: String = "") -> TopicPage.Row {
    TopicPage.Row(
      offset: offset,
      record: EventFields(
        type: .notification, timestampMilliseconds: 1_698_620_000_000, acceptedMicroseconds: 1, eventID: "e\(offset)",
        chatID: chatID, messageID: messageID, hasIDsBeside: !messageID.isEmpty, payload: Array(#"{"a":1}"#.utf8)
      ).record())
  }

  @Test func answersAPageAndWhatIsGone() async throws {
    let fixture = try await answering(
      TopicPage(
        head: Position(epoch: epoch, offset: 20), floor: 3, after: 0, through: 9, rows: [row(6), row(7)]))
    let answer = try fixture.call(name, #"{"targetUserId":"ann","limit":2}"#)
    #expect(
      answer
        == #"{"topic":"user:ann","epoch":"0000000142d1c0aa","head":20,"floor":3,"events":["#
        + #"{"offset":6,"eventId":"e6","type":"notification","targetUserId":"ann","payload":{"a":1},"timestamp":1698620000000},"#
        + #"{"offset":7,"eventId":"e7","type":"notification","targetUserId":"ann","payload":{"a":1},"timestamp":1698620000000}],"#
        + #""gaps":[{"from":1,"to":3,"reason":"evicted"},{"from":4,"to":5,"reason":"expired"},{"from":8,"to":9,"reason":"expired"}],"#
        + #""nextOffset":10,"hasMore":true}"#)
    #expect(
      (fixture.services.asked.first as? ReadTopic)
        == ReadTopic(topic: Topic("user:ann")!, after: Position(epoch: .none, offset: 0), limit: 2))
  }

  /// Of an encrypted message clients know no other way which one it is.
  @Test func tellsIDsThatThePayloadDoesNotSay() async throws {
    let fixture = try await answering(
      TopicPage(
        head: Position(epoch: epoch, offset: 2), floor: 0, after: 0, through: 2,
        rows: [row(1, chatID: "c", messageID: "m"), row(1, chatID: "d", messageID: "m"), row(2, chatID: "c")]))
    let answer = try fixture.call(name, #"{"topic":"chat:c"}"#)
    #expect(answer.contains(#""timestamp":1698620000000,"chatId":"c","messageId":"m"},"#))
    #expect(!answer.contains(#""chatId":"d""#), "whoever may write to one chat says nothing of another")
    #expect(answer.contains(#""timestamp":1698620000000}]"#), "the payload said it, or the topic does")
  }

  @Test func beginsWhereTheCallerSays() async throws {
    let fixture = try await answering(
      TopicPage(head: Position(epoch: epoch, offset: 20), floor: 0, after: 0, through: 20, rows: []))
    let answer = try fixture.call(name, #"{"topic":"chat:c","fromOffset":11,"epoch":"0000000142d1c0ab"}"#)
    #expect(answer.contains(#""gaps":[{"epoch":"0000000142d1c0aa","reason":"epoch"},{"from":1,"to":20,"#))
    #expect(answer.hasSuffix(#""nextOffset":21,"hasMore":false}"#))
    try fixture.call(name, #"{"topic":"chat:c","fromTime":1698620000000}"#)
    let reads = fixture.services.asked.compactMap { $0 as? ReadTopic }
    #expect(reads[0].after == Position(epoch: Epoch(rawValue: 0x1_42D1_C0AB), offset: 10))
    #expect(reads[1].sinceMilliseconds == 1_698_620_000_000 && reads[1].limit == 100)
  }

  @Test(arguments: [
    ("{}", "topic or targetUserId is missing: what is to be read?"),
    (#"{"topic":"c"}"#, #"topic must be a topic such as "user:u" or "chat:c", not "c""#),
    (#"{"topic":"presence:a"}"#, "presence:a has no log: topics of kind presence are the engine's own"),
    (#"{"topic":"chat:c","targetUserId":"a"}"#, "targetUserId and topic are both there: give one of them"),
    (#"{"topic":"chat:c","fromOffset":0}"#, "fromOffset must be an offset: 1, 2, 3 …, not 0"),
    (
      #"{"topic":"chat:c","fromOffset":1,"fromTime":1698620000000}"#,
      "fromOffset and fromTime are both there: give one of them"
    ),
    (#"{"topic":"chat:c","epoch":7}"#, "epoch must be the epoch of an answer, not 7"),
    (#"{"topic":"chat:c","limit":1001}"#, "limit must be an integer of 1 to 1000, not 1001"),
    (
      #"{"topic":"chat:c","from":1}"#,
      #"unknown field "from"; there are: topic, targetUserId, fromOffset, fromTime, epoch, limit"#
    ),
  ]) func saysWhatIsWrong(data: String, message: String) async throws {
    #expect(try await CallFixture().refusal(name, data) == message)
  }

  @Test func isForServersWithTheScope() async throws {
    let fixture = try await CallFixture()
    let other = APIKey(id: "p", name: "P", owner: "p", scopes: [.publish, .broadcast])
    #expect(
      fixture.refusal(name, #"{"topic":"chat:c"}"#, as: .server(other))
        == "PERMISSION_DENIED: the API key \"P\" does not have the scope \"read\"")
    #expect(
      fixture.refusal(name, #"{"topic":"chat:c"}"#, as: .user(CallFixture.ann))
        == "PERMISSION_DENIED: this function is for servers: call it with an API key")
  }
}
