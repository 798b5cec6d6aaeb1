import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct SubscribeToRealtimeEventsTests {
  private let name = "subscribeToRealtimeEventsV1"

  @Test func answersAURLWhoseTicketCarriesWhatWasGranted() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(MembershipAnswer(since: [0])) }
    let answer = try fixture.call(
      name,
      #"{"connectionId":"conn_1","deviceId":"d","platform":"web","subscriptions":["user:ann","chat:c2","chat:c1"],"#
        + #""positions":{"user:ann":{"epoch":"0000000142d1c0aa","offset":17}}}"#,
      as: .user(CallFixture.ann))
    try Array(answer.utf8).withUnsafeBytes { text in
      let view = try JSONView(validating: text)
      #expect(view["enabled"]?.boolean == true && view["connectionId"]?.string == "conn_1")
      #expect(view["subscriptions"]?.elements.map { $0.string ?? "" } == ["user:ann", "chat:c1"])
      #expect(
        view["denied"].map { String(decoding: $0.raw, as: UTF8.self) }
          == #"[{"topic":"chat:c2","code":"PERMISSION_DENIED"}]"#)
      #expect(view["expiresAt"]?.integer == testNow + 3_600_000)
      let url = try #require(view["wsUrl"]?.string)
      #expect(url.hasPrefix("ws://rt.example.com:8480/ws?ticket="))
      let ticket = try redeem(url, fixture)
      #expect(
        ticket
          == Ticket(
            id: ticket.id, identity: CallFixture.ann,
            request: ConnectRequest(
              connectionID: "conn_1", deviceID: "d", platform: .web, subscriptions: ["user:ann", "chat:c1"],
              positions: [Topic("user:ann")!: Position(epoch: Epoch("0000000142d1c0aa")!, offset: 17)]),
            expiresAtMilliseconds: testNow + 60_000))
    }
  }

  @Test func refusesAnothersConnection() async throws {
    let fixture = try await CallFixture()
    let data = #"{"connectionId":"conn_others"}"#
    #expect(
      fixture.refusal(name, data, as: .user(CallFixture.ann))
        == "PERMISSION_DENIED: the connection conn_others is another user's: subscribe without connectionId, and one is made"
    )
    let asked = fixture.services.presenceRequests as? [ConnectionOwnerQuery]
    #expect(asked == [ConnectionOwnerQuery(user: "ann", connectionID: "conn_others")])
    // Nobody is asked about none, nor over a connection, which has its own.
    try fixture.call(name, "{}", as: .user(CallFixture.ann))
    try fixture.call(name, data, as: .user(CallFixture.ann), carrier: .session(FakeSession()))
    #expect(fixture.services.presenceRequests.count == 1)
    // And nobody waits for a presence worker that is away.
    fixture.services.presenceAnswer = { _ in .failure(.presenceAway) }
    try fixture.call(name, data, as: .user(CallFixture.ann))
  }

  /// A poller hears what comes from now on, however late its first poll is.
  @Test func theCursorSaysWherePollsBegin() async throws {
    let fixture = try await CallFixture()
    let epoch = Epoch("0000000142d1c0aa")!
    fixture.services.startsAnswer = { _ in
      .success(Starts(positions: [.none, Position(epoch: epoch, offset: 4)]))
    }
    let data = #"{"connectionId":"cn","subscriptions":["user:ann","chat:c1"],"deviceId":"d"}"#
    let answer = try fixture.call(name, data, as: .user(CallFixture.ann))
    #expect(answer.contains(#""cursor":"user:ann,chat:c1=0000000142d1c0aa.4""#), "\(answer)")
    #expect(
      fixture.services.asked.compactMap { $0 as? StartsQuery }
        == [
          StartsQuery(
            token: CallFixture.ann.token, device: "d", connection: "cn",
            topics: [.init(Topic("user:ann")!), .init(Topic("chat:c1")!)])
        ])
  }

  /// A device that names no connection polls by its cursor: it takes no place among its user's devices.
  @Test func keepsNothingForADeviceWhoseConnectionTheServerNamed() async throws {
    let fixture = try await CallFixture()
    let answer = try fixture.call(name, #"{"deviceId":"d"}"#, as: .user(CallFixture.ann))
    #expect(answer.contains(#""connectionId":"conn_"#) && answer.contains(#""cursor":"user:ann""#), "\(answer)")
    let query = try #require(fixture.services.asked.compactMap { $0 as? StartsQuery }.first)
    #expect(query.device == "d" && query.connection.isEmpty)
  }

  /// There is nothing for polls in it, and so they are no longer of what was asked for before.
  @Test func presenceAloneReplacesWhatWasPolled() async throws {
    let fixture = try await CallFixture()
    let data = #"{"connectionId":"cn","subscriptions":["presence:bob"]}"#
    let answer = try fixture.call(name, data, as: .user(CallFixture.ann))
    #expect(answer.contains("wsUrl") && !answer.contains("cursor"), "\(answer)")
    #expect(
      fixture.services.asked.compactMap { $0 as? StartsQuery }
        == [StartsQuery(token: CallFixture.ann.token, device: "cn", connection: "cn", topics: [])])
  }

  @Test func grantsAsManyTopicsAsAConnectionHas() async throws {
    let fixture = try await CallFixture(#""connections":{"topics":1}"#)
    let answer = try fixture.call(
      name, #"{"subscriptions":["user:ann","chat:c1"]}"#, as: .user(CallFixture.ann))
    #expect(
      answer.contains(
        #""subscriptions":["user:ann"],"denied":[{"topic":"chat:c1","code":"RESOURCE_EXHAUSTED"}]"#), "\(answer)")
    let query = try #require(fixture.services.asked.compactMap { $0 as? StartsQuery }.first)
    #expect(query.topics == [.init(Topic("user:ann")!)])
  }

  /// Polls that name their connection alone are of what it subscribed to: rather an error than that they leave it out.
  @Test func failsWhenItCannotBeKeptForPolls() async throws {
    let fixture = try await CallFixture()
    fixture.services.startsAnswer = { _ in .failure(.schedulerAway) }
    let error = #expect(throws: CallError.self) {
      try fixture.call(name, #"{"subscriptions":["user:ann","chat:c1"]}"#, as: .user(CallFixture.ann))
    }
    #expect(error?.code == .unavailable && error?.retryAfterMilliseconds == 1000)
    // They are of the inbox without a word. Rather no cursor than one that goes past something.
    let inbox = try fixture.call(name, "{}", as: .user(CallFixture.ann))
    #expect(inbox.contains("wsUrl") && !inbox.contains("cursor"))
  }

  /// What the client presents goes to the log with what it asks for; of presence there are no polls.
  @Test func saysWhereTheClientStandsAndUnderWhichConnection() async throws {
    let fixture = try await CallFixture()
    let position = Position(epoch: Epoch("0000000142d1c0aa")!, offset: 17)
    let answer = try fixture.call(
      name,
      #"{"subscriptions":["user:ann","presence:ann"],"positions":{"user:ann":{"epoch":"0000000142d1c0aa","offset":17}}}"#,
      as: .user(CallFixture.ann))
    let query = try #require(fixture.services.asked.compactMap { $0 as? StartsQuery }.first)
    #expect(query.topics == [.init(Topic("user:ann")!, at: position)])
    #expect(answer.contains(#""connectionId":"\#(query.connection)""#), "one that the server made, too")
    #expect(answer.contains(#""cursor":"user:ann=0000000142d1c0aa.17""#))
  }

  /// The chats that the token does not name are asked for in one question.
  @Test func grantsTheChatsWhoseMemberTheUserIs() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(MembershipAnswer(since: [7, 0])) }
    let answer = try fixture.call(
      name, #"{"subscriptions":["chat:c3","chat:c1","chat:c4"]}"#, as: .user(CallFixture.ann))
    #expect(
      fixture.services.asked.compactMap { $0 as? MembershipQuery }
        == [MembershipQuery(entries: [.init(chat: "c3", user: "ann"), .init(chat: "c4", user: "ann")])])
    #expect(
      answer.contains(
        #""subscriptions":["chat:c3","chat:c1"],"denied":[{"topic":"chat:c4","code":"PERMISSION_DENIED"}]"#))
    fixture.services.answer = { _ in .failure(.schedulerAway) }
    let error = #expect(throws: CallError.self) {
      try fixture.call(name, #"{"subscriptions":["chat:c3"]}"#, as: .user(CallFixture.ann))
    }
    #expect(error?.code == .unavailable)
  }

  @Test func everyFieldIsOptional() async throws {
    let fixture = try await CallFixture(#""public_url":"wss://rt.example.com/base""#)
    for data in ["null", "{}"] {
      let answer = try fixture.call(name, data, as: .user(CallFixture.ann))
      try Array(answer.utf8).withUnsafeBytes { text in
        let view = try JSONView(validating: text)
        #expect(view["subscriptions"]?.elements.map { $0.string ?? "" } == ["user:ann"])
        let url = try #require(view["wsUrl"]?.string)
        #expect(url.hasPrefix("wss://rt.example.com/base/ws?ticket="))
        let ticket = try redeem(url, fixture)
        #expect(ticket.request.connectionID == view["connectionId"]?.string)
        #expect(ticket.request.connectionID?.hasPrefix("conn_") == true && ticket.request.deviceID == nil)
      }
    }
  }

  @Test func theTicketEndsWithTheToken() async throws {
    let fixture = try await CallFixture()
    var ann = CallFixture.ann
    ann.expiresAtMilliseconds = testNow + 5000
    let answer = try fixture.call(name, "{}", as: .user(ann), carrier: .http(host: "h", secure: true))
    try Array(answer.utf8).withUnsafeBytes { text in
      let url = try #require(try JSONView(validating: text)["wsUrl"]?.string)
      #expect(url.hasPrefix("wss://h/ws?"))
      // And the leeway, as the token itself.
      #expect(try redeem(url, fixture).expiresAtMilliseconds == testNow + 5000 + 30_000)
    }
  }

  @Test func refusesWhatFitsInNoURL() async throws {
    let fixture = try await CallFixture()
    var ann = CallFixture.ann
    ann.chats = (0..<200).map { "chat_with_a_rather_long_name_\($0)" }
    let message = try #require(fixture.refusal(name, "{}", as: .user(ann)))
    #expect(message.hasPrefix("the subscriptions, positions and chats make a URL of"))
    #expect(message.hasSuffix("and 4096 fit: connect without a ticket, with a \"connect\" frame"))
    #expect(!fixture.services.asked.contains { $0 is StartsQuery }, "what is refused leaves nothing in the log")
  }

  @Test func refusesWhenNothingIsAllowedOrNobodyAsks() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(MembershipAnswer(since: [0])) }
    #expect(
      fixture.refusal(name, #"{"subscriptions":["user:bob","chat:x"]}"#, as: .user(CallFixture.ann))
        == #"PERMISSION_DENIED: no topic asked for is allowed: ["user:bob", "chat:x"]"#)
    #expect(
      fixture.refusal(name, "{}", as: .anonymous)
        == "UNAUTHENTICATED: a user's token is missing: Authorization: Bearer <token>")
    #expect(
      fixture.refusal(name, "{}")
        == "PERMISSION_DENIED: this function is for users: call it with a user's token")
    #expect(throws: CallError(.failedPrecondition, "the request has no Host header, and public_url is not set")) {
      try fixture.call(name, "{}", as: .user(CallFixture.ann), carrier: .http(host: nil, secure: false))
    }
  }

  @Test func presenceIsEverybodysToWatchWhileItIsOn() async throws {
    let asked = #"{"subscriptions":["presence:bob","user:ann"]}"#
    let on = try await CallFixture(#""flags":{"realtime_engine_v2":{"rollout":100}}"#)
    #expect(
      try on.call(name, asked, as: .user(CallFixture.ann))
        .contains(#""subscriptions":["presence:bob","user:ann"],"denied":[]"#))
    let off = try await CallFixture(
      #""flags":{"realtime_engine_v2":{"rollout":100},"realtime_presence":{"rollout":0}}"#)
    #expect(
      try off.call(name, asked, as: .user(CallFixture.ann)).contains(
        #""subscriptions":["user:ann"],"denied":[{"topic":"presence:bob","code":"FAILED_PRECONDITION"}]"#))
  }

  @Test func addsTopicsToASession() async throws {
    let fixture = try await CallFixture()
    let session = FakeSession()
    session.result = .success([AccessRules.Grant.Denial(topic: "chat:c2", code: .permissionDenied)])
    let answer = try fixture.call(
      name,
      #"{"subscriptions":["chat:c1","chat:c2"],"positions":{"chat:c1":{"epoch":"0000000000000001","offset":3}}}"#,
      as: .user(CallFixture.ann), carrier: .session(session))
    #expect(
      answer
        == #"{"enabled":true,"connectionId":"conn_7","subscriptions":["chat:c1"],"denied":[{"topic":"chat:c2","code":"PERMISSION_DENIED"}],"expiresAt":\#(testNow + 3_600_000)}"#
    )
    #expect(session.subscribed == ["chat:c1", "chat:c2?"])
    #expect(session.positions == [Topic("chat:c1")!: Position(epoch: Epoch(rawValue: 1), offset: 3)])
    session.result = .failure(CallError(.unavailable, "away"))
    #expect(throws: CallError(.unavailable, "away")) {
      try fixture.call(name, "{}", as: .user(CallFixture.ann), carrier: .session(session))
    }
  }

  private func redeem(_ url: String, _ fixture: CallFixture) throws -> Ticket {
    let text = Array(try #require(url.split(separator: "=", maxSplits: 1).last).utf8)
    return try text.withUnsafeBytes { try fixture.context.access.current.tickets.redeem($0, now: testNow) }
  }
}
