import AvaloClient
import AvaloCore
import AvaloTesting
import Testing

/// Read state through the whole product: what is unread, marking it, and who hears of it.
@Suite(.serialized) struct ReadStateTests {
  private func publish(_ server: RunningServer, _ message: String, target: String) async throws {
    let text = """
      {"type":"chat_message",\(target),"eventId":"\(message) \(target.hashValue)","sourceUserId":"bob",\
      "payload":{"chatId":"c","messageId":"\(message)"}}
      """
    _ = try await server.backend().call("publishRealtimeEvent", try JSONText(validating: Array(text.utf8)))
  }

  @Test func aChatIsMarkedOnceAndEverybodyHears() async throws {
    let server = try await RunningServer.start()
    let bob = try await server.connect("bob", device: "desk", topics: ["chat:c"], chats: ["c"])
    for message in ["m1", "m2"] {
      try await publish(server, message, target: #""topic":"chat:c""#)
      try await publish(server, message, target: #""targetUserId":"ann""#)
    }
    let ann = try await server.connect("ann", device: "phone", topics: ["user:ann", "chat:c"], chats: ["c"])
    #expect(ann.ready.text.description.contains(#""unread":{"c":2}"#))
    let marked = try await ann.call("markChatAsReadV1", try JSONText(validating: Array(#"{"chatId":"c"}"#.utf8)))
    #expect(marked.description.hasPrefix(#"{"success":true,"markedCount":2,"readAt":{"_seconds":"#))
    let again = try await ann.call("markChatAsReadV1", try JSONText(validating: Array(#"{"chatId":"c"}"#.utf8)))
    #expect(again.description.contains(#""markedCount":0"#))
    // The other side hears of it, once.
    for await frame in bob.frames {
      guard case .fact(let receipt) = frame, receipt.event.type == "read_receipt" else { continue }
      #expect(receipt.topic == "chat:c")
      #expect(receipt.event.payload.description.hasPrefix(#"{"chatId":"c","userId":"ann","messageId":"m2","readAt":"#))
      break
    }
    // And so does whoever comes later.
    let cem = try await server.connect("cem", device: "desk", topics: ["chat:c"], chats: ["c"])
    #expect(cem.ready.text.description.contains(#""unread":{"c":2},"receipts":[{"chatId":"c","userId":"ann""#))
    try await server.stop()
  }
}
