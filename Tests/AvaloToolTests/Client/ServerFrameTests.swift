import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct ServerFrameTests {
  private func frame(_ text: String) throws -> ServerFrame { try ServerFrame(JSONText(validating: text)) }

  @Test func readsReady() throws {
    let text = """
      {"ready":{"connectionId":"c","userId":"u","deviceId":"d","subscriptions":["user:u"],\
      "denied":[{"topic":"chat:x","code":"PERMISSION_DENIED"}],"pingInterval":25000,"serverTime":5,"expiresAt":9}}
      """
    guard case .ready(let ready) = try frame(text) else { return #expect(Bool(false), "not a ready frame") }
    #expect(ready.connectionID == "c" && ready.userID == "u" && ready.deviceID == "d")
    #expect(ready.subscriptions == ["user:u"])
    #expect(ready.denied == [ServerFrame.Denied(topic: "chat:x", code: "PERMISSION_DENIED")])
    #expect(ready.pingIntervalMilliseconds == 25_000 && ready.expiresAtMilliseconds == 9)
    #expect(ready.text.description == text)
  }

  @Test func readsAnEventAndKeepsItsPayloadByteForByte() throws {
    let payload = #"{ "a" : 1.50, "b":"\u00e9" }"#
    let text = """
      {"event":{"eventId":"e","type":"chat_message","targetUserId":"u","sourceUserId":"s","payload":\(payload),\
      "timestamp":7,"ttl":60,"priority":"urgent"},"topic":"user:u","epoch":"0000000142d1c0aa","offset":18,\
      "skipped":{"from":15,"to":17,"reason":"expired"},"ahead":true}
      """
    guard case .event(let delivery) = try frame(text) else { return #expect(Bool(false), "not an event") }
    #expect(delivery.event.payload.description == payload)
    #expect(delivery.topic == "user:u" && delivery.offset == 18 && delivery.isAhead)
    #expect(delivery.epoch == Epoch("0000000142d1c0aa"))
    #expect(delivery.skipped?.offsets == 15...17)
    #expect(delivery.event.priority == .urgent && delivery.event.ttlSeconds == 60)
    #expect(delivery.event.sourceUserID == "s" && delivery.event.targetUserID == "u")
  }

  @Test func readsTheOtherKinds() throws {
    #expect(
      try frame(#"{"live":{"topic":"user:u","epoch":"0000000000000002","offset":3}}"#)
        == .live(topic: "user:u", Position(epoch: Epoch(rawValue: 2), offset: 3)))
    #expect(
      try frame(#"{"gap":{"topic":"user:u","from":15,"to":17,"reason":"evicted"}}"#)
        == .gap(ServerFrame.Gap(topic: "user:u", offsets: 15...17, reason: "evicted", epoch: nil)))
    #expect(
      try frame(#"{"gap":{"topic":"user:u","reason":"epoch","epoch":"0000000000000002"}}"#)
        == .gap(ServerFrame.Gap(topic: "user:u", offsets: nil, reason: "epoch", epoch: Epoch(rawValue: 2))))
    #expect(
      try frame(#"{"unsubscribed":{"topic":"chat:c","code":"PERMISSION_DENIED","message":"no member"}}"#)
        == .unsubscribed(topic: "chat:c", CallError(.permissionDenied, "no member")))
    #expect(try frame(#"{"goaway":{"retryAfterMs":1200}}"#) == .goaway(retryAfterMilliseconds: 1200))
    #expect(try frame(#"{"expiring":{"expiresAt":17}}"#) == .expiring(atMilliseconds: 17))
    #expect(try frame(#"{"pong":{"serverTime":4}}"#) == .pong(id: nil))
    #expect(try frame(#"{"id":3,"pong":{"serverTime":4}}"#) == .pong(id: JSONText(validating: "3")))
    #expect(
      try frame(#"{"id":7,"result":{"ok":true}}"#)
        == .answer(id: JSONText(validating: "7"), .success(JSONText(validating: #"{"ok":true}"#))))
    #expect(
      try frame(#"{"id":7,"error":{"status":"NOT_FOUND","message":"no"}}"#)
        == .answer(id: JSONText(validating: "7"), .failure(CallError(.notFound, "no"))))
    #expect(
      try frame(#"{"error":{"status":"UNAVAILABLE","message":"busy","details":{"retryAfterMs":5}}}"#)
        == .error(CallError(.unavailable, "busy", retryAfterMilliseconds: 5)))
  }

  @Test func passesOverWhatALaterServerSays() throws {
    #expect(try frame(#"{"weather":{}}"#) == .unknown(JSONText(validating: #"{"weather":{}}"#)))
  }

  @Test(arguments: [
    #"[]"#, #"{"event":{},"topic":"user:u","offset":1}"#, #"{"live":{"topic":"user:u"}}"#,
    #"{"event":{"eventId":"e","type":"t","payload":{},"timestamp":1},"topic":"user:u","offset":-1}"#,
    #"{"gap":{"topic":"user:u","from":5,"to":4,"reason":"expired"}}"#, #"{"id":7}"#, #"{"ready":{"userId":"u"}}"#,
  ])
  func refusesWhatIsIncomplete(_ text: String) throws {
    let text = try JSONText(validating: text)
    #expect(throws: FrameError.self) { try ServerFrame(text) }
  }

  @Test func survivesMutatedFrames() {
    let seeds = [
      #"{"event":{"eventId":"e","type":"t","payload":{"a":[1,2]},"timestamp":1},"topic":"user:u","offset":9}"#,
      #"{"ready":{"connectionId":"c","userId":"u","subscriptions":["a"],"denied":[],"pingInterval":1}}"#,
      #"{"gap":{"topic":"user:u","from":15,"to":17,"reason":"evicted"}}"#,
    ].map { Array($0.utf8) }
    var random = SplitMix64(seed: 11)
    for round in 0..<20_000 {
      var bytes = seeds[round % seeds.count]
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0...2, using: &random) {
        case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
        case 1: bytes.remove(at: place)
        default: bytes.insert(UInt8.random(in: 0x20...0x7E, using: &random), at: place)
        }
      }
      // Either it reads or it says why not.
      if let text = try? JSONText(validating: bytes) { _ = try? ServerFrame(text) }
    }
  }
}
