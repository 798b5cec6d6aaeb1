import AvaloCore
import AvaloTesting
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct PublishRealtimeEventTests {
  private let name = "publishRealtimeEvent"
  private let minimal = #"{"type":"notification","targetUserId":"u","payload":{}}"#

  @Test func publishesTheDocumentedExample() async throws {
    let fixture = try await CallFixture()
    let answer = try fixture.call(
      name,
      #"""
      {"eventId": "evt_123", "type": "chat_message", "targetUserId": "user_abc", "sourceUserId": "user_xyz",
       "payload": {"chatId": "chat_456", "messageId": "msg_789", "text": "Hello!"},
       "timestamp": 1698620000000, "priority": "high", "ttl": 86400}
      """#)
    #expect(
      answer
        == #"{"success":true,"eventId":"evt_123","topic":"user:user_abc","epoch":"0000000142d1c0aa","offset":17,"durability":"os","duplicate":false}"#
    )
    let publish = try #require(fixture.services.published.first)
    #expect(publish.owner == "backend" && publish.topic.name == "user:user_abc" && publish.deliverAtMilliseconds == 0)
    #expect(
      try described(publish.record)
        == #"chat_message high ttl 86400 own at 1698620000000 id evt_123 from user_xyz chat chat_456 message msg_789 {"chatId": "chat_456", "messageId": "msg_789", "text": "Hello!"}"#
    )
  }

  @Test func fillsInWhatWasNotSaid() async throws {
    let fixture = try await CallFixture()
    try fixture.call(name, minimal)
    let record = try described(try #require(fixture.services.published.first).record)
    #expect(record.hasPrefix("notification normal ttl 604800 at \(testNow) id evt_"))
    #expect(record.hasSuffix(" from  chat  message  {}"))
    // Null is as good as absent.
    try fixture.call(
      name,
      #"{"type":"FEED_UPDATE","topic":"feed:f","payload":{"chatId":null},"ttl":null,"eventId":null,"priority":null,"deliverAt":null}"#
    )
    #expect(try described(fixture.services.published[1].record).hasPrefix("feed_update normal ttl 3600 at"))
  }

  @Test func takesTheChatFromBesideThePayloadThenFromInsideThenFromTheTopic() async throws {
    let fixture = try await CallFixture()
    for (fields, expected) in [
      (#""payload":{"chatId":"in","messageId":"m"},"chatId":"beside""#, "chat beside message m beside {"),
      (#""payload":{"chatId":"in"},"messageId":"beside""#, "chat in message beside beside {"),
      (#""payload":{"chatId":"c","messageId":"m"},"chatId":"c","messageId":"m""#, "chat c message m {"),
      (#""payload":{"ciphertext":"…"}"#, "chat topic message  "),
    ] {
      try fixture.call(name, #"{"type":"chat_message","topic":"chat:topic",\#(fields)}"#)
      #expect(try described(try #require(fixture.services.published.last).record).contains(expected))
    }
    // Only a message's ids must be ids; elsewhere they are whatever the application makes of them.
    try fixture.call(name, #"{"type":"match_created","targetUserId":"u","payload":{"chatId":"a b","messageId":7}}"#)
    #expect(try described(try #require(fixture.services.published.last).record).contains("chat  message  {"))
  }

  @Test func keepsThePayloadByteForByte() async throws {
    let fixture = try await CallFixture()
    let payload =
      #"{ "z" : [1.0, 1e3 , "\u00e9é\/"],"a":{"user@type":1, "n":{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":"-5"}} }"#
    try fixture.call(name, #"{"type":"notification","targetUserId":"u","payload":\#(payload)}"#)
    #expect(try described(try #require(fixture.services.published.first).record).hasSuffix(payload))
  }

  @Test func takesNumbersInFirebasesWrapping() async throws {
    let fixture = try await CallFixture()
    func wrapped(_ type: String, _ value: String) -> String {
      #"{"@type":"type.googleapis.com/google.protobuf.\#(type)","value":"\#(value)"}"#
    }
    try fixture.call(
      name,
      #"{"type":"notification","targetUserId":"u","payload":{},"timestamp":\#(wrapped("Int64Value", "1698620000000")),"ttl":\#(wrapped("UInt64Value", "60"))}"#
    )
    #expect(
      try described(try #require(fixture.services.published.first).record).contains("ttl 60 own at 1698620000000"))
  }

  @Test func holdsAnEventUntilItsTime() async throws {
    let fixture = try await CallFixture()
    fixture.services.publishAnswer = .success(Published(position: .none, durability: .disk, duplicate: false))
    let answer = try fixture.call(
      name, #"{"eventId":"e","type":"notification","targetUserId":"u","payload":{},"deliverAt":\#(testNow + 60_000)}"#)
    #expect(
      answer
        == #"{"success":true,"eventId":"e","topic":"user:u","scheduled":true,"durability":"disk","duplicate":false}"#)
    #expect(fixture.services.published[0].deliverAtMilliseconds == testNow + 60_000)
  }

  @Test(arguments: [
    ("null", "data must be an object with type, payload, and targetUserId or topic"),
    ("[]", "data must be an object with type, payload, and targetUserId or topic"),
    (
      "{}",
      "type is missing: one of chat_message, typing_indicator, presence_update, notification, feed_update, match_created, like_received"
    ),
    (
      #"{"type":"chat"}"#,
      #"type must be one of chat_message, typing_indicator, presence_update, notification, feed_update, match_created, like_received, not "chat""#
    ),
    (
      #"{"type":7}"#,
      "type must be one of chat_message, typing_indicator, presence_update, notification, feed_update, match_created, like_received, not 7"
    ),
    (#"{"type":"notification"}"#, "payload is missing: a JSON object"),
    (#"{"type":"notification","payload":"x"}"#, #"payload must be an object, not "x""#),
    (#"{"type":"notification","payload":null}"#, "payload must be an object, not null"),
    (#"{"type":"notification","payload":{}}"#, "targetUserId or topic is missing: who is the event for?"),
    (
      #"{"type":"notification","payload":{},"targetUserId":"u","topic":"user:u"}"#,
      "targetUserId and topic are both there: give one of them"
    ),
    (
      #"{"type":"notification","payload":{},"topic":"presence:u"}"#,
      "nothing can be published to presence:u: users' presence is their own to change"
    ),
    (
      #"{"type":"notification","payload":{},"tll":5}"#,
      #"unknown field "tll"; there are: type, targetUserId, topic, payload, eventId, sourceUserId, timestamp, ttl, priority, chatId, messageId, deliverAt"#
    ),
    (
      #"{"type":"notification","payload":{},"tll":null}"#,
      #"unknown field "tll"; there are: type, targetUserId, topic, payload, eventId, sourceUserId, timestamp, ttl, priority, chatId, messageId, deliverAt"#
    ),
    (#"{"targetUserId":"a b"}"#, #"targetUserId must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not "a b""#),
    (#"{"sourceUserId":""}"#, #"sourceUserId must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not """#),
    (#"{"topic":"chat:*"}"#, #"topic must be a topic such as "user:u" or "chat:c", not "chat:*""#),
    (#"{"eventId":""}"#, #"eventId must be a text of 1 to 128 bytes without control characters, not """#),
    (#"{"eventId":"a\nb"}"#, #"eventId must be a text of 1 to 128 bytes without control characters, not "a\nb""#),
    (#"{"ttl":"1h"}"#, #"ttl must be an integer of 1 to 2592000 seconds, not "1h""#),
    (#"{"ttl":0}"#, "ttl must be an integer of 1 to 2592000 seconds, not 0"),
    (#"{"ttl":2592001}"#, "ttl must be an integer of 1 to 2592000 seconds, not 2592001"),
    (#"{"ttl":1.5}"#, "ttl must be an integer of 1 to 2592000 seconds, not 1.5"),
    (#"{"priority":"highest"}"#, #"priority must be one of low, normal, high, urgent, not "highest""#),
    (
      #"{"timestamp":1698620000}"#,
      "timestamp must be milliseconds since 1970 (1000000000000 to 9999999999999), not 1698620000"
    ),
    (
      #"{"timestamp":"now"}"#, #"timestamp must be milliseconds since 1970 (1000000000000 to 9999999999999), not "now""#
    ),
    (
      #"{"timestamp":{"@type":"type.googleapis.com/google.protobuf.Timestamp","value":"1698620000000"}}"#,
      "timestamp must be milliseconds since 1970 (1000000000000 to 9999999999999), not an object of 81 bytes"
    ),
    (#"{"deliverAt":5}"#, "deliverAt must be milliseconds since 1970 (1000000000000 to 9999999999999), not 5"),
    (
      #"{"type":"notification","payload":{},"deliverAt":1702592000001}"#,
      "deliverAt must be at most 30 days ahead, not 1702592000001"
    ),
    (
      #"{"type":"chat_message","payload":{"chatId":"a b"}}"#,
      #"payload.chatId must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not "a b""#
    ),
    (
      #"{"type":"chat_message","payload":{"messageId":7}}"#,
      "payload.messageId must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not 7"
    ),
    (#"{"chatId":7}"#, "chatId must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not 7"),
  ]) func saysWhatIsWrong(data: String, message: String) async throws {
    let fixture = try await CallFixture()
    #expect(fixture.refusal(name, data) == message)
    #expect(fixture.services.published.isEmpty && fixture.admission.publishesInFlight == 0)
  }

  @Test func takesEveryBoundAndNothingBeyond() async throws {
    let fixture = try await CallFixture()
    func publish(_ fields: String) -> String {
      #"{"type":"notification","targetUserId":"u",\#(fields)}"#
    }
    let id = String(repeating: "é", count: 64)
    try fixture.call(name, publish(#""payload":{},"ttl":1,"timestamp":1000000000000,"eventId":"\#(id)""#))
    try fixture.call(name, publish(#""payload":{},"ttl":2592000,"timestamp":9999999999999,"deliverAt":1702592000000"#))
    let text = String(repeating: "x", count: Limits.payloadBytesMax - 8)
    try fixture.call(name, publish(#""payload":{"t":"\#(text)"}"#))
    #expect(
      fixture.refusal(name, publish(#""payload":{"t":"\#(text)x"}"#))
        == "payload may have 65536 bytes, not 65537: send a link instead")
    #expect(
      fixture.refusal(name, publish(#""payload":{},"eventId":"\#(id)x""#))
        == "eventId must be a text of 1 to 128 bytes without control characters, not a text of 129 bytes")
  }

  @Test(arguments: ["read_receipt", "READ_RECEIPT"])
  func refusesWhatIsTheUsersOwnToSay(type: String) async throws {
    let fixture = try await CallFixture()
    #expect(
      fixture.refusal(name, #"{"type":"\#(type)","targetUserId":"u","payload":{}}"#)
        == "events of type read_receipt cannot be published: they are the engine's own to send")
  }

  @Test(arguments: ["sys:access", "presence:u"]) func refusesTopicsOfTheEngine(topic: String) async throws {
    let fixture = try await CallFixture()
    let refusal = fixture.refusal(name, #"{"type":"notification","topic":"\#(topic)","payload":{}}"#)
    #expect(refusal?.hasPrefix("nothing can be published to \(topic): ") == true)
    #expect(fixture.services.published.isEmpty)
  }

  @Test(arguments: [
    #"{"@type":"x"}"#, #"{"a":[1,{"b":{"@type":"type.googleapis.com/google.protobuf.Timestamp"}}]}"#,
    #"{"\u0040type":"x"}"#, #"{"a":{"@typ\u0065":1}}"#,
    #"{"a":{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":"x"}}"#,
    #"{"a":{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":5}}"#,
    #"{"a":{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":"9223372036854775808"}}"#,
    #"{"a":{"@type":"type.googleapis.com/google.protobuf.UInt64Value","value":"-1"}}"#,
    #"{"a":{"@type":"type.googleapis.com/google.protobuf.Int64Value"}}"#,
  ]) func refusesForeignTypeKeys(payload: String) async throws {
    let fixture = try await CallFixture()
    #expect(
      fixture.refusal(name, #"{"type":"notification","targetUserId":"u","payload":\#(payload)}"#)?
        .hasPrefix("payload must not hold a key \"@type\"") == true)
  }

  @Test(arguments: [
    #"{"a":"@type"}"#, #"{"a":"x\"@type\":1"}"#, #"{"@types":1,"type@":2}"#, #"{"a":"\u0040type"}"#,
    #"{"a":{"@type":"type.googleapis.com/google.protobuf.UInt64Value","value":"18446744073709551615"}}"#,
  ]) func takesPayloadsThatOnlyLookLikeIt(payload: String) async throws {
    let fixture = try await CallFixture()
    try fixture.call(name, #"{"type":"notification","targetUserId":"u","payload":\#(payload)}"#)
  }

  // MARK: Identity

  @Test func hashesWhatWasSaidAndNotWhatWasFilledIn() async throws {
    let fixture = try await CallFixture()
    func hash(_ data: String) throws -> UInt64 {
      try fixture.call(name, data)
      return try #require(fixture.services.published.last).contentHash
    }
    let base = try hash(minimal)
    fixture.clock.advance(by: .seconds(60))
    #expect(try hash(minimal) == base)
    #expect(try hash(#"{"payload":{},"priority":"normal","topic":"user:u","type":"NOTIFICATION"}"#) == base)
    var seen: Set<UInt64> = [base]
    for fields in [
      #""type":"match_created","targetUserId":"u","payload":{}"#,
      #""type":"notification","targetUserId":"v","payload":{}"#,
      #""type":"notification","targetUserId":"u","payload":{ }"#,
      #""type":"notification","targetUserId":"u","payload":{},"ttl":604800"#,
      #""type":"notification","targetUserId":"u","payload":{},"priority":"low""#,
      #""type":"notification","targetUserId":"u","payload":{},"timestamp":\#(testNow)"#,
      #""type":"notification","targetUserId":"u","payload":{},"deliverAt":\#(testNow)"#,
      #""type":"notification","targetUserId":"u","payload":{},"sourceUserId":"s""#,
      #""type":"notification","targetUserId":"u","payload":{},"chatId":"s""#,
      #""type":"notification","targetUserId":"u","payload":{},"messageId":"s""#,
    ] {
      #expect(seen.insert(try hash("{\(fields)}")).inserted, "\(fields)")
    }
    // The log keeps hashes for days: a new version must find the same ones.
    #expect(base == goldenHash)
  }
  private let goldenHash: UInt64 = 16_423_726_100_067_858_246

  @Test func namesTheEventWhenItsFateIsUnknown() async throws {
    let fixture = try await CallFixture()
    fixture.services.publishAnswer = .failure(CallError(.unavailable, "the log is away", retryAfterMilliseconds: 500))
    let error = #expect(throws: CallError.self) { try fixture.call(name, minimal) }
    let id = try #require(error?.eventID)
    #expect(id.hasPrefix("evt_") && error?.code == .unavailable && error?.retryAfterMilliseconds == 500)
    #expect(
      error?.message
        == "the log is away; it is not known whether the event was kept: try again with eventId \"\(id)\"")
    #expect(try described(fixture.services.published[0].record).contains("id \(id) "))
    fixture.services.publishAnswer = .failure(CallError(.alreadyExists, "another event has this eventId"))
    #expect(throws: CallError(.alreadyExists, "another event has this eventId")) { try fixture.call(name, minimal) }
  }

  // MARK: Rights

  @Test func isForServersWithTheScope() async throws {
    let fixture = try await CallFixture()
    let reader = APIKey(id: "r", name: "Reader", owner: "r", scopes: [.read, .broadcast])
    #expect(
      fixture.refusal(name, minimal, as: .server(reader))
        == "PERMISSION_DENIED: the API key \"Reader\" does not have the scope \"publish\"")
    #expect(
      fixture.refusal(name, minimal, as: .anonymous)
        == "UNAUTHENTICATED: an API key is missing: Authorization: Bearer avk_…")
    #expect(
      fixture.refusal(name, #"{"type":"chat_message","topic":"chat:c1","payload":{}}"#, as: .user(CallFixture.ann))
        == "PERMISSION_DENIED: users may not publish to chat:c1")
    #expect(fixture.services.published.isEmpty)
  }

  @Test func membersPublishAsThemselvesWhereTheRuleLetsThem() async throws {
    let fixture = try await CallFixture(#""topics":{"chat":{"publish":"members"}}"#)
    try fixture.call(
      name, #"{"type":"chat_message","topic":"chat:c1","payload":{},"sourceUserId":"bob"}"#, as: .user(CallFixture.ann))
    let publish = try #require(fixture.services.published.first)
    #expect(publish.owner == "user:ann")
    #expect(try described(publish.record).contains("from ann "))
    #expect(publish.user == Publish.Publisher(CallFixture.ann.token, mustBeMember: false))
    // No claim names that chat: the scheduler looks whether they are a member, as it appends.
    try fixture.call(name, #"{"type":"chat_message","topic":"chat:c2","payload":{}}"#, as: .user(CallFixture.ann))
    #expect(fixture.services.published.last?.user?.mustBeMember == true)
    // A server needs its scope alone.
    try fixture.call(name, #"{"type":"chat_message","topic":"chat:c2","payload":{}}"#)
    #expect(fixture.services.published.last?.user == nil)
    for topic in ["user:ann", "user:bob"] {
      #expect(
        fixture.refusal(name, #"{"type":"chat_message","topic":"\#(topic)","payload":{}}"#, as: .user(CallFixture.ann))
          == "PERMISSION_DENIED: users may not publish to \(topic)")
    }
  }

  // MARK: Admission

  @Test func refusesMoreThanMayWait() async throws {
    let fixture = try await CallFixture(#""limits":{"publishes_in_flight":2}"#)
    fixture.services.publishAnswer = nil
    var answers: [Bool] = []
    for _ in 0..<2 {
      try fixture.begin(name, minimal) { if case .success = $0 { answers.append(true) } else { answers.append(false) } }
    }
    #expect(fixture.admission.publishesInFlight == 2)
    #expect(
      throws: CallError.over(
        .publishesInFlight, max: 2, "too many publishes are waiting for the log: try again",
        retryAfterMilliseconds: 1000)
    ) { try fixture.call(name, minimal) }
    #expect(fixture.services.published.count == 2 && fixture.admission.publishesInFlight == 2)
    fixture.services.answerWaiting(offset: 1)
    #expect(fixture.admission.publishesInFlight == 1)
    try fixture.begin(name, minimal) { _ in }
    fixture.services.answerWaiting(offset: 2)
    fixture.services.answerWaiting(offset: 3)
    #expect(fixture.admission.publishesInFlight == 0 && answers == [true, true])
  }

  @Test func holdsAKeyToItsRate() async throws {
    let fixture = try await CallFixture(#""limits":{"publishes_per_second":10}"#)
    let refusal = CallError.over(
      .publishesPerSecond, max: 10, "the API key \"Backend\" may publish 10 events a second",
      retryAfterMilliseconds: 100)
    for _ in 0..<10 { try fixture.call(name, minimal) }
    #expect(throws: refusal) { try fixture.call(name, minimal) }
    fixture.clock.advance(by: .milliseconds(100))
    try fixture.call(name, minimal)
    #expect(throws: refusal) { try fixture.call(name, minimal) }
    // Another key has a rate of its own; and a rest of any length saves up one second's worth.
    let other = APIKey(id: "o", name: "Other", owner: "o", scopes: [.publish])
    try fixture.call(name, minimal, as: .server(other))
    fixture.clock.advance(by: .seconds(3600))
    for _ in 0..<10 { try fixture.call(name, minimal) }
    #expect(throws: refusal) { try fixture.call(name, minimal) }
  }

  /// Whatever `data` holds, the call is answered once, in words, and nothing malformed goes to the log.
  @Test func survivesMutations() async throws {
    let fixture = try await CallFixture()
    let seeds = [
      #"{"eventId":"evt_123","type":"chat_message","targetUserId":"user_abc","payload":{"chatId":"c","messageId":"m"},"ttl":5}"#,
      #"{"type":"notification","topic":"feed:x","payload":{"@type":"x"},"deliverAt":1700000100000,"priority":"LOW"}"#,
    ]
    var random = TestRandom(seed: 11)
    for _ in 0..<4000 {
      var bytes = Array(seeds.randomElement(using: &random)!.utf8)
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[place] = UInt8.random(in: 0x20...0x7E, using: &random)
        case 1: bytes.remove(at: place)
        default:
          bytes.insert(
            contentsOf: [#"""#, "{", "}", "null", "1e9", ","].randomElement(using: &random)!.utf8, at: place)
        }
      }
      bytes.withUnsafeBytes { text in
        guard let view = try? JSONView(validating: text) else { return }
        var answers = 0
        CallTable.invoke(
          PublishRealtimeEvent.self,
          CallRequest(data: view, caller: .server(CallFixture.backend), carrier: .http(host: nil, secure: false)),
          fixture.context
        ) { _ in answers += 1 }
        #expect(answers == 1)
      }
    }
    for publish in fixture.services.published {
      #expect(publish.record.withUnsafeBytes { EventRecord($0) != nil })
    }
  }
}
