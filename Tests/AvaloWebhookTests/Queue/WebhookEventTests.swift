import AvaloCore
import Testing

@testable import AvaloWebhook

@Suite struct WebhookEventTests {
  private func event(
    _ topic: String, payload: String = #"{"text":"hello"}"#, hasIDsBeside: Bool = false
  ) -> WebhookEvent {
    WebhookEvent(
      generation: 7, sequence: 42, topic: Topic(topic)!, offset: 18,
      record: EventFields(
        type: .chatMessage, priority: .high, ttlSeconds: 60, timestampMilliseconds: 1_700_000_000_000,
        acceptedMicroseconds: 1_700_000_000_500_000, eventID: "evt_9", sourceUserID: "bob", chatID: "c1",
        messageID: "m1", hasIDsBeside: hasIDsBeside, payload: Array(payload.utf8)
      ).record())
  }

  @Test func isPostedAsClientsAreSentIt() {
    #expect(
      String(decoding: event("user:ann").body(), as: UTF8.self)
        == #"{"event":{"eventId":"evt_9","type":"chat_message","targetUserId":"ann","sourceUserId":"bob","#
        + #""payload":{"text":"hello"},"timestamp":1700000000000,"ttl":60,"priority":"high"},"#
        + #""topic":"user:ann","offset":18}"#)
    #expect(!String(decoding: event("chat:c1").body(), as: UTF8.self).contains("targetUserId"))
    #expect(
      String(decoding: event("chat:c1", hasIDsBeside: true).body(), as: UTF8.self)
        .contains(#""ttl":60,"chatId":"c1","messageId":"m1","priority":"high"}"#))
    #expect(event("user:ann").id == "evt_7_42")
    #expect(event("user:ann").acceptedMilliseconds == 1_700_000_000_500)
  }

  private func letter(_ event: WebhookEvent) throws -> (id: String, payload: String) {
    let record = event.deadLetter(attempts: 12, reason: "HTTP 500", at: 1_700_000_001_000)
    return try record.withUnsafeBytes { bytes in
      let letter = try #require(EventRecord(bytes))
      #expect(letter.type == .notification && letter.ttlSeconds == WebhookLimits.deadLetterSeconds)
      return (String(decoding: letter.eventID, as: UTF8.self), String(decoding: letter.payload, as: UTF8.self))
    }
  }

  @Test func aDeadLetterSaysWhatAndWhy() throws {
    let letter = try letter(event("user:ann"))
    #expect(letter.id == "dead_7_42")
    #expect(
      letter.payload
        == #"{"webhookId":"evt_7_42","topic":"user:ann","offset":18,"eventId":"evt_9","type":"chat_message","#
        + #""attempts":12,"reason":"HTTP 500","payload":{"text":"hello"}}"#)
  }

  @Test func aDeadLetterFitsIntoTheLog() throws {
    let long = #"{"text":"\#(String(repeating: "x", count: 64 << 10 - 20))"}"#
    let letter = try letter(event("user:ann", payload: long))
    #expect(!letter.payload.contains("payload") && letter.payload.contains(#""offset":18"#))
    let fits = #"{"text":"\#(String(repeating: "x", count: WebhookLimits.deadPayloadBytesMax - 11))"}"#
    let dead = event("user:" + String(repeating: "u", count: 128), payload: fits)
      .deadLetter(attempts: 100, reason: String(repeating: "ä", count: 300), at: 1)
    #expect(dead.count <= 66 << 10)
  }
}
