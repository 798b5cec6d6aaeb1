import AvaloCore
import Synchronization
import Testing

@testable import AvaloClient

@Suite(.timeLimit(.minutes(1))) struct RealtimeServerTests {
  @Test func triesAgainWithTheSameIDWhileTheServerIsAway() async throws {
    let bodies = Mutex<[String]>([])
    let server = try await TestServer.start { peer, happening in
      guard case .request(let request) = happening else { return }
      let count = bodies.withLock {
        $0.append(String(decoding: request.body, as: UTF8.self))
        return $0.count
      }
      if count == 1 { return peer.reply(503, #"{"error":{"status":"UNAVAILABLE","message":"later"}}"#) }
      peer.reply(
        200,
        #"{"result":{"success":true,"eventId":"e1","topic":"user:ann","epoch":"0000000000000001","offset":3,"durability":"os","duplicate":true}}"#
      )
    }
    let backend = RealtimeServer(server.endpoint, apiKey: "avk_1")
    let result = try await backend.publishRealtimeEvent(
      EventDraft(.notification, to: .user("ann"), payload: JSONText { $0.raw(#"{"x":1}"#) }))
    #expect(result.position == Position(epoch: Epoch(rawValue: 1), offset: 3))
    #expect(result.isDuplicate)
    let said = bodies.withLock { $0 }
    #expect(said.count == 2 && said[0] == said[1])
    #expect(said[0].contains(#""targetUserId":"ann","payload":{"x":1}"#))
    await backend.close()
    try await server.stop()
  }

  @Test func aRefusalIsTheCallersToHear() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .request = happening else { return }
      peer.reply(403, #"{"error":{"status":"PERMISSION_DENIED","message":"scope"}}"#)
    }
    let backend = RealtimeServer(server.endpoint, apiKey: "avk_1")
    await #expect(throws: ClientError.refused(CallError(.permissionDenied, "scope"))) {
      try await backend.broadcastToUsers(["a"], EventDraft(.notification, to: .none, payload: .emptyObject))
    }
    await backend.close()
    try await server.stop()
  }

  @Test func writesWhatTheProtocolSays() {
    var draft = EventDraft(.chatMessage, to: .topic("chat:c"), payload: .emptyObject, eventID: "e")
    draft.ttlSeconds = 60
    draft.priority = .urgent
    draft.chatID = "c"
    #expect(
      draft.data.description
        == #"{"eventId":"e","type":"chat_message","topic":"chat:c","payload":{},"ttl":60,"priority":"urgent","chatId":"c"}"#
    )
  }

  @Test func waitsNoLongerHoweverOftenItFailed() {
    #expect([1, 2, 3, 4, 29, 1_000].map(RealtimeServer.longestDelay) == [200, 800, 3_200, 5_000, 5_000, 5_000])
  }
}
