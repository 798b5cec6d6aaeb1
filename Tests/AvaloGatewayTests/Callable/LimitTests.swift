import AvaloCore
import AvaloReactor
import AvaloWire
import Testing

@testable import AvaloGateway

/// Every limit says which it is, how much it allows, and when to come again; and is counted by its name.
@Suite struct LimitTests {
  private static func limit(_ limit: CallLimit, _ max: Int) -> String {
    #""limit":{"name":"\#(limit.wireName)","max":\#(max)}"#
  }

  // MARK: Calls

  @Test func aUserMayCallAFunctionSoOften() async throws {
    let fixture = try await CallFixture(#""limits":{"calls_per_second":2}"#)
    func call(_ name: String, _ data: String, as user: String) throws {
      let identity = Identity(user: user, expiresAtMilliseconds: testNow + 1000, chats: ["c1"])
      try fixture.call(name, data, as: .user(identity))
    }
    let refusal = CallError.over(
      .callsPerSecond, max: 2, "a user may call getPresenceV1 2 times a second", retryAfterMilliseconds: 500)
    for _ in 0..<2 { try call("getPresenceV1", #"{"userIds":["bob"]}"#, as: "ann") }
    #expect(throws: refusal) { try call("getPresenceV1", #"{"userIds":["bob"]}"#, as: "ann") }
    // Others, and other functions, have allowances of their own.
    try call("sendTypingIndicatorV1", #"{"chatId":"c1","isTyping":true}"#, as: "ann")
    try call("getPresenceV1", #"{"userIds":["bob"]}"#, as: "bob")
    // Servers have none.
    for _ in 0..<10 { try fixture.call("getPresenceV1", #"{"userIds":["bob"]}"#) }
    fixture.clock.advance(by: .milliseconds(500))
    try call("getPresenceV1", #"{"userIds":["bob"]}"#, as: "ann")
    #expect(throws: refusal) { try call("getPresenceV1", #"{"userIds":["bob"]}"#, as: "ann") }
  }

  @Test func whateverCarriesTheCall() async throws {
    let fixture = try await CallFixture(#""limits":{"calls_per_second":1}"#)
    let ann = Caller.user(CallFixture.ann)
    try fixture.call("realtimePingV1", "{}", as: ann, carrier: .session(FakeSession()))
    #expect(throws: CallError.self) {
      try fixture.call("realtimePingV1", "{}", as: ann, carrier: .session(FakeSession()))
    }

    let http = try await HTTPFixture(#""limits":{"calls_per_second":1}"#)
    let token = try await userToken("ann")
    func subscribe(_ headers: String) throws -> Answers.Answer {
      let request = http.request("subscribeToRealtimeEventsV1", #"{"data":null}"#, headers: headers)
      return try http.exchange(request.replacing(http.key, with: token))[0]
    }
    #expect(try subscribe("").status == 200)
    #expect(try subscribe("Accept: text/event-stream\r\n").body.contains(Self.limit(.callsPerSecond, 1)))
  }

  @Test(arguments: [
    (
      "publishRealtimeEvent", #"{"type":"notification","targetUserId":"u","payload":{"t":"LONG"}}"#,
      #""limits":{"payload_max":"1KiB"}"#, CallLimit.payloadBytes, 1024
    ),
    (
      "publishRealtimeEvent", #"{"type":"notification","targetUserId":"u","payload":{"t":"LONGLONGLONG"}}"#,
      #""limits":{"http_body_max":"4KiB"}"#, .messageBytes, 4096
    ),
    ("broadcastToUsers", #"{"userIds":["a","b","c"],"event":{}}"#, #""limits":{"broadcast_users":2}"#, .listItems, 2),
    ("getPresenceV1", #"{"userIds":["a","b","c"]}"#, #""limits":{"users_per_call":2}"#, .listItems, 2),
    ("updatePresenceV1", #"{"customStatus":"four"}"#, #""limits":{"custom_status_max":3}"#, .textBytes, 3),
    (
      "subscribeToRealtimeEventsV1", #"{"subscriptions":["a:1","a:2","a:3","a:4"]}"#,
      #""connections":{"topics":2,"presence_topics":1}"#, .listItems, 3
    ),
  ])
  func whatIsTooMuchAtOnceIsRefused(name: String, data: String, settings: String, limit: CallLimit, max: Int)
    async throws
  {
    let fixture = try await HTTPFixture(settings)
    let data = data.replacing("LONG", with: String(repeating: "x", count: 1500))
    let isForUsers = name.hasSuffix("V1") && name != "getPresenceV1"
    let token = try await userToken("ann")
    let request = fixture.request(name, #"{"data":\#(data)}"#).replacing(
      fixture.key, with: isForUsers ? token : fixture.key)
    let answer = try fixture.exchange(request)[0]
    #expect(answer.status == 400 && answer.error?.hasPrefix("INVALID_ARGUMENT: ") == true, "\(answer.body)")
    #expect(answer.body.contains(#""details":{\#(Self.limit(limit, max))}"#), "\(answer.body)")
    #expect(fixture.metrics.limits.with(limit.wireName).value == 1)
  }

  @Test func aKeysRateIsTold() async throws {
    let fixture = try await HTTPFixture(#""limits":{"publishes_per_second":1}"#)
    #expect(try fixture.exchange(fixture.publish("a"))[0].status == 200)
    let answer = try fixture.exchange(fixture.publish("b"))[0]
    #expect(answer.status == 429 && answer.header("Retry-After") == "1")
    #expect(answer.body.contains(#""details":{"retryAfterMs":1000,\#(Self.limit(.publishesPerSecond, 1))}"#))
    #expect(fixture.metrics.limits.with("publishes_per_second").value == 1)
  }

  // MARK: Connections

  @Test func aWebSocketsFramesAreCounted() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: Position(epoch: testEpoch, offset: 0))
    loop.turn { for _ in 0..<101 { loop.hear(ann, #"{"ping":{}}"#) } }
    let last = try #require(loop.take(ann).last)
    #expect(last.contains(#""details":{"retryAfterMs":1000,\#(Self.limit(.framesPerSecond, 100))}"#))
    #expect(loop.closes[ann.slot] == CloseCode.rateLimited.rawValue)
    #expect(loop.metrics.limits.with("frames_per_second").value == 1)
  }

  @Test func aUserMayHaveSoManyConnections() throws {
    let loop = try TestLoop()
    _ = try loop.live("ann", at: Position(epoch: testEpoch, offset: 0))
    loop.mail(.policy(.forTests { $0.connections.perUser = 1 }))
    let second = loop.open()
    loop.turn { loop.hub.connect(loop.hub.session(of: second)!, identity("ann"), ConnectRequest()) }
    let told = try #require(loop.take(second).last)
    #expect(told.contains(#""details":{"retryAfterMs":5000,\#(Self.limit(.connectionsPerUser, 1))}"#))
    #expect(loop.closes[second.slot] == CloseCode.limit.rawValue)
    #expect(loop.metrics.limits.with("connections_per_user").value == 1)
  }

  @Test func aConnectionMayHaveSoManyTopics() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: Position(epoch: testEpoch, offset: 0), chats: ["a", "b"])
    loop.mail(.policy(.forTests { $0.connections.topics = 2 }))
    loop.say(ann, #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["chat:a","chat:b"]}}"#)
    #expect(
      loop.take(ann) == [
        #"{"id":1,"error":{"status":"RESOURCE_EXHAUSTED","message":"a connection may have 2 topics, and this would be its 3th","details":{\#(Self.limit(.topics, 2))}}}"#
      ])
    #expect(loop.metrics.limits.with("topics").value == 1)
    // When it begins with too many, it begins with those that fit.
    let second = loop.open()
    let wish = ConnectRequest(subscriptions: ["user:ann", "chat:a", "chat:b"])
    loop.turn { loop.hub.connect(loop.hub.session(of: second)!, identity("ann", chats: ["a", "b"]), wish) }
    #expect(try loop.port.take(Attach.self).last?.message.topics.map(\.topic.name).sorted() == ["chat:a", "user:ann"])
    #expect(loop.metrics.limits.with("topics").value == 2)
  }

  @Test func aMessageMayBeSoLarge() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: Position(epoch: testEpoch, offset: 0))
    loop.turn { loop.hub.refused(ann, code: AvaloReactor.CloseCode.protocolError) }
    #expect(loop.metrics.limits.with("message_bytes").value == 0)
    loop.turn { loop.hub.refused(ann, code: AvaloReactor.CloseCode.tooLarge) }
    #expect(loop.metrics.limits.with("message_bytes").value == 1)
  }
}
