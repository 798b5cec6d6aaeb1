import AvaloCore
import AvaloReactor
import AvaloWire
import NIOCore
import Testing

@testable import AvaloGateway

/// `GET /events` from the request to the last word, byte for byte; the scheduler is played by the test.
@Suite struct EventStreamTests {
  let epoch = testEpoch

  @Test func answersWhenTheDeviceIsRegisteredAndThenStreams() async throws {
    let stream = try await StreamFixture()
    try stream.get("/events?deviceId=phone&subscriptions=user%3Aann", user: "ann")
    let attach = try #require(try stream.port.take(Attach.self).first)
    #expect(attach.message.token.user == "ann" && attach.message.device == "phone")
    #expect(attach.message.topics.map(\.topic.name) == ["user:ann"])
    #expect(try stream.received() == "")

    try stream.attached(attach, at: [position(4)])
    let head = try stream.received()
    let end = try #require(head.firstRange(of: "\r\n\r\n")).upperBound
    #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n"))
    for header in ["Content-Type: text/event-stream", "Cache-Control: no-store", "X-Accel-Buffering: no"] {
      #expect(head[..<end].contains("\r\n\(header)\r\n"))
    }
    #expect(head[end...].hasPrefix(#"data: {"ready":{"connectionId":"conn_"#))

    try stream.watched(position(4))
    #expect(
      try stream.received() == """
        data: {"live":{"topic":"user:ann","epoch":"\(epoch)","offset":4}}

        id: user:ann=\(epoch).4


        """)
    stream.deliver(5, #"{"text":"hello"}"#)
    #expect(
      try stream.received() == """
        data: {"event":{"eventId":"e","type":"chat_message","targetUserId":"ann","payload":{"text":"hello"},"timestamp":1},"topic":"user:ann","offset":5}

        id: user:ann=\(epoch).5


        """)
  }

  /// Another gateway has begun the stream of this connection again: the log says so.
  @Test func endsWhenItsLeaseIsLost() async throws {
    let stream = try await StreamFixture()
    try stream.get("/events?connectionId=c1", user: "ann")
    let lease = try #require(try stream.port.take(Lease.self).first)
    #expect(lease.message.user == "ann" && lease.message.connection == "c1" && lease.message.use == .stream)
    try stream.attached(try #require(try stream.port.take(Attach.self).first), at: [position(4)])
    try stream.watched(position(4))
    _ = try stream.received()
    // A session that is over, or somebody else's place.
    stream.scheduler {
      $0.frame(LeaseLost(session: lease.message.session + 1, place: lease.message.place), correlation: 3 << 24)
    }
    #expect(try stream.received() == "" && stream.channel.isActive)
    stream.scheduler {
      $0.frame(
        LeaseLost(session: lease.message.session, place: lease.message.place), correlation: lease.correlation)
    }
    #expect(try stream.received().contains(#""status":"ABORTED""#))
    #expect(!stream.channel.isActive)
  }

  @Test func aConnectionThatNobodyNamedHasNoLease() async throws {
    let stream = try await StreamFixture.live("ann", at: position(0))
    #expect(try stream.port.take(Lease.self).isEmpty)
  }

  /// White space between JSON's tokens may be line ends, which would end the event.
  @Test func keepsAnEventOnOneLine() async throws {
    let stream = try await StreamFixture.live("ann", at: position(0))
    stream.deliver(1, "{\n\"text\":\r\n\"a\\nb\"}")
    let text = try stream.received()
    #expect(text.contains(#""payload":{ "text":  "a\nb"}"#))
    #expect(text.split(separator: "\n").count == 2)
  }

  @Test func tellsOnePositionATurnForAllItsTopics() async throws {
    let stream = try await StreamFixture()
    try stream.get("/events?subscriptions=user:ann,chat:c", user: "ann")
    let attach = try #require(try stream.port.take(Attach.self).first)
    try stream.attached(attach, at: attach.message.topics.map { _ in position(1) })
    try stream.watched(position(1), position(1))
    _ = try stream.received()
    stream.scheduler {
      for (handle, offset) in [(stream.handle, 2), (stream.handle + 1, 2), (stream.handle, 3)] {
        Deliver.write(
          record: record("x"), targets: [.init(handle: handle, offset: UInt64(offset))], into: &$0)
      }
    }
    let ids = try stream.received().split(separator: "\n").filter { $0.hasPrefix("id: ") }
    #expect(ids.count == 1)
    let id = try #require(ids.first)
    #expect(
      PositionVector.parse(id.dropFirst(4))?.positions == [
        Topic("user:ann")!: position(3), Topic("chat:c")!: position(2),
      ])
  }

  @Test func resumesFromTheLastEventIDAndTakesItAsAnAcknowledgement() async throws {
    let stream = try await StreamFixture()
    let id = "user:ann=\(epoch).7"
    try stream.get("/events?connectionId=c1", user: "ann", headers: "Last-Event-ID: \(id)\r\n")
    let attach = try #require(try stream.port.take(Attach.self).first)
    try stream.attached(attach, at: [position(2)])
    try stream.watched(position(9))
    #expect(try stream.port.take(Read.self).map(\.message.after) == [7])
    let acks = try stream.port.take(Acknowledge.self).flatMap(\.message.entries)
    #expect(acks.map(\.position) == [position(7)])
  }

  /// delivery.md, rule 8: what overtakes a replay has no id of its own, and ids go on from where the replay is.
  @Test func anUrgentEventAheadHasNoID() async throws {
    let stream = try await StreamFixture()
    try stream.get("/events", user: "ann", headers: "Last-Event-ID: user:ann=\(epoch).1\r\n")
    try stream.attached(try #require(try stream.port.take(Attach.self).first), at: [position(1)])
    try stream.watched(position(3))
    _ = try stream.received()
    stream.deliver(4, #"{"text":"fire"}"#, priority: .urgent)
    let early = try stream.received()
    #expect(early.contains(#""offset":4"#) && early.contains(#""ahead":true"#) && early.contains("fire"))
    #expect(!early.contains("id: "))
    func answerRead(after: UInt64, through: UInt64) throws {
      let read = try #require(try stream.port.take(Read.self).first)
      #expect(read.message.after == after && read.message.upTo == through)
      stream.scheduler {
        ReadResult.write(
          epoch: epoch, floor: 0, through: through,
          rows: (after + 1...through).map { (offset: $0, record: record($0 == 4 ? "fire" : "calm")) },
          correlation: read.correlation, into: &$0)
      }
    }
    func ids(_ text: String) -> [Substring] { text.split(separator: "\n").filter { $0.hasPrefix("id: ") } }
    try answerRead(after: 1, through: 3)
    #expect(ids(try stream.received()) == ["id: user:ann=\(epoch).3"])
    try answerRead(after: 3, through: 4)
    let last = try stream.received()
    #expect(!last.contains("fire") && ids(last) == ["id: user:ann=\(epoch).4"])
  }

  @Test func refusesALastEventIDThatIsNotOurs() async throws {
    let stream = try await StreamFixture()
    for id in ["17", "user:ann=x.7", "user:ann=\(epoch).7,", "nonsense=\(epoch).7", "user:ann=\(epoch).-1"] {
      try stream.get("/events", user: "ann", headers: "Last-Event-ID: \(id)\r\n")
      let answer = Answers(try stream.received())[0]
      #expect(answer.status == 400 && answer.error?.contains("Last-Event-ID") == true, "\(id)")
      try stream.reconnect()
    }
  }

  @Test func refusesOnTheStatusWhileNothingWasSaid() async throws {
    let stream = try await StreamFixture()
    try stream.get("/events", user: "ann")
    let attach = try #require(try stream.port.take(Attach.self).first)
    stream.scheduler {
      $0.frame(
        Failed(.resourceExhausted, "too many devices", retryAfterMilliseconds: 2000), correlation: attach.correlation)
    }
    let answer = Answers(try stream.received())[0]
    #expect(answer.status == 429 && answer.error == "RESOURCE_EXHAUSTED: too many devices")
    #expect(answer.header("Retry-After") == "2" && answer.header("Connection") == "close")
  }

  @Test func refusesWhoMayNotListen() async throws {
    let stream = try await StreamFixture()
    for (target, user, status) in [
      ("/events", nil, 401), ("/events?ticket=x", nil, 401), ("/events?subscriptions=user:bob", "ann", 403),
      ("/events?deviceId=%00", "ann", 400), ("/events?platform=vms", "ann", 400), ("/events?x=%zz", "ann", 400),
    ] as [(String, String?, Int)] {
      try stream.get(target, user: user)
      #expect(Answers(try stream.received())[0].status == status, "\(target)")
      try stream.reconnect()
    }
    try stream.send("POST /events HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
    #expect(Answers(try stream.received())[0].status == 405)
    try stream.reconnect()
    let many = (0...HubLimits.streamTopicsMax).map { "chat:c\($0)" }.joined(separator: ",")
    try stream.get("/events?subscriptions=\(many)", user: "ann")
    #expect(Answers(try stream.received())[0].status == 400)
  }

  @Test func opensAgainWithTheSameTicketAndTakesThePlaceOfTheOld() async throws {
    let stream = try await StreamFixture()
    let answer = try stream.subscribe("ann", #"{"connectionId":"c1","deviceId":"phone"}"#)
    let url = try #require(answer["eventsUrl"])
    #expect(url.hasPrefix("http://h/events?ticket="))
    let target = String(url.dropFirst("http://h".count))
    let first = try stream.reconnect()
    try stream.get(target, user: nil)
    try stream.attached(try #require(try stream.port.take(Attach.self).first), at: [position(0)])
    try stream.watched(position(0))
    #expect(try stream.received().contains(#""deviceId":"phone""#))
    try stream.reconnect()
    try stream.get(target, user: nil)
    try stream.attached(try #require(try stream.port.take(Attach.self).first), at: [position(0)])
    #expect(try stream.received().contains(#""connectionId":"c1""#))
    let end = try StreamFixture.received(first)
    #expect(end.hasSuffix("event: close\ndata: {\"code\":4506,\"reason\":\"superseded\"}\n\n"))
    // No WebSocket's ticket, and the other way round.
    let webSocket = try #require(answer["wsUrl"]?.split(separator: "ticket=").last)
    try stream.reconnect()
    try stream.get("/events?ticket=\(webSocket)", user: nil)
    #expect(Answers(try stream.received())[0].status == 401)
  }

  /// The ticket of a stream is good as long as its token.
  @Test func ofARevokedTokenEndsAndIsNotOpenedAgain() async throws {
    let stream = try await StreamFixture()
    let answer = try stream.subscribe("ann", #"{"connectionId":"c1"}"#)
    let target = String(try #require(answer["eventsUrl"]).dropFirst("http://h".count))
    let first = try stream.reconnect()
    try stream.get(target, user: nil)
    try stream.attached(try #require(try stream.port.take(Attach.self).first), at: [position(0)])
    _ = try stream.received()
    let revoked = AccessChanged.Change.revoked(
      Revocation(.user("ann"), issuedBeforeMilliseconds: .max, untilMilliseconds: .max))
    stream.http.service.calls.access.current.revocations.apply([revoked])
    stream.mailbox.post(.access(AccessChanged(position: 1, changes: [revoked])))
    let end = try StreamFixture.received(first)
    #expect(end.contains("the token was revoked"))
    #expect(end.hasSuffix("event: close\ndata: {\"code\":4507,\"reason\":\"token_revoked\"}\n\n"))
    try stream.reconnect()
    try stream.get(target, user: nil)
    #expect(Answers(try stream.received())[0].status == 401)
    #expect(try stream.port.take(Attach.self).isEmpty)
  }

  @Test func answersWhatWasAskedBeforeFirst() async throws {
    let stream = try await StreamFixture()
    stream.http.services.publishAnswer = nil
    try stream.send(stream.http.publish("a") + stream.request("GET /events", user: "ann"))
    #expect(try stream.received() == "" && stream.port.frames.isEmpty)
    stream.http.services.answerWaiting(offset: 1)
    let answers = Answers(try stream.received())
    #expect(answers.map(\.status) == [200])
    let attach = try #require(try stream.port.take(Attach.self).first)
    try stream.attached(attach, at: [position(0)])
    #expect(try stream.received().contains(#"data: {"ready""#))
  }

  @Test func saysGoodbyeWithATimeToComeBack() async throws {
    let stream = try await StreamFixture.live("ann", at: position(0))
    stream.streams.events.mailbox.post(.drain(.atOnce))
    let text = try stream.received()
    #expect(text.contains(#"data: {"goaway":{"retryAfterMs":"#) && text.contains("\nretry: "))
    #expect(text.hasSuffix("event: close\ndata: {\"code\":4000,\"reason\":\"going_away\"}\n\n"))
  }

  private func position(_ offset: UInt64) -> Position { Position(epoch: epoch, offset: offset) }
}
