import AvaloCore
import AvaloWire
import NIOCore
import NIOEmbedded
import Testing

@testable import AvaloGateway

/// `realtimePingV1` over HTTP, from the request to the answer; the scheduler is played by the test.
@Suite struct RealtimePingTests {
  let name = "realtimePingV1"
  let epoch = testEpoch

  @Test func isHeldUntilSomethingHappens() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"connectionId":"c1","deviceId":"phone"}"#)
    try poll.begin(at: position(4))
    #expect(try poll.received() == "")
    poll.deliver(5, #"{"text":"hello"}"#)
    let answer = Answers(try poll.received())[0]
    #expect(answer.status == 200)
    #expect(
      answer.body
        == #"{"result":{"success":true,"events":[{"eventId":"e","type":"chat_message","targetUserId":"ann","payload":{"text":"hello"},"timestamp":1,"topic":"user:ann","offset":5}],"cursor":"user:ann=\#(epoch).5","serverTime":\#(testNow)}}"#
    )
  }

  /// Without a cursor its place is kept under the connection's name: of many pages that each had one, no device pays.
  @Test func isADeviceByItsConnectionAlone() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"connectionId":"c1"}"#)
    let attach = try #require(try poll.port.take(Attach.self).first?.message)
    #expect(attach.device == "c1" && attach.isPassing)
    let named = try await PollFixture()
    try named.ping(#"{"connectionId":"c1","deviceId":"phone"}"#)
    let other = try #require(try named.port.take(Attach.self).first?.message)
    #expect(other.device == "phone" && !other.isPassing)
  }

  // MARK: - Of what its connection subscribed to

  /// The connection alone is named: what it is of, and where that begins, the log knows.
  @Test func isOfWhatItsConnectionSubscribedTo() async throws {
    let poll = try await PollFixture()
    poll.http.services.polledAnswer = .success(
      Polled(topics: [Topic("user:ann")!, Topic("chat:c")!, Topic("chat:x")!]))
    try poll.ping(#"{"connectionId":"c1","deviceId":"phone"}"#)
    #expect(
      poll.http.services.asked.compactMap { $0 as? PolledQuery } == [PolledQuery(user: "ann", connection: "c1")])
    let attach = try #require(try poll.port.take(Attach.self).first)
    #expect(attach.message.device == "c1" && attach.message.isPassing, "its places are the connection's")
    #expect(Set(attach.message.topics.map(\.topic.name)) == ["user:ann", "chat:c", "chat:x"])
    #expect(attach.message.topics.allSatisfy { $0.isGranted == ($0.topic.name != "chat:x") }, "by today's rights")
    // A member no more: that is told, and wakes nobody.
    poll.scheduler {
      $0.frame(
        Attached(
          answers: attach.message.topics.map {
            $0.isGranted ? .granted(position(4), since: 0) : .denied(.permissionDenied)
          }), correlation: attach.correlation)
    }
    try poll.watched(position(4), position(4))
    #expect(try poll.received() == "")
    poll.deliver(5, "{}")
    let body = Answers(try poll.received())[0].body
    #expect(body.contains(#""offset":5"#))
    for place in ["user:ann=\(epoch).5", "chat:c=\(epoch).4"] { #expect(body.contains(place), "\(body)") }
    #expect(body.contains(#""denied":[{"topic":"chat:x","code":"PERMISSION_DENIED"}]"#), "\(body)")
  }

  @Test(arguments: [#"{"cursor":"user:ann"}"#, #"{"connectionId":"c1","subscriptions":["user:ann"]}"#, "{}"])
  func asksForNothingThatItSaysItself(data: String) async throws {
    let poll = try await PollFixture()
    try poll.ping(data)
    #expect(!poll.http.services.asked.contains { $0 is PolledQuery })
    #expect(try poll.port.take(Attach.self).first?.message.topics.map(\.topic.name) == ["user:ann"])
  }

  /// Rather an error than a poll that leaves something out.
  @Test func isRefusedWhenTheLogDoesNotSayWhatItIsOf() async throws {
    let poll = try await PollFixture()
    poll.http.services.polledAnswer = .failure(.schedulerAway)
    try poll.ping(#"{"connectionId":"c1"}"#)
    let answer = Answers(try poll.received())[0]
    #expect(answer.status == 503 && answer.body.contains(#""retryAfterMs":1000"#))
  }

  @Test func isHeldForNobodyWhoGaveUpWhileItWasAsked() async throws {
    let poll = try await PollFixture()
    poll.http.services.polledAnswer = nil
    try poll.ping(#"{"connectionId":"c1"}"#)
    try poll.finishSending()
    #expect(poll.http.services.polledWaits.count == 1)
    poll.http.services.polledWaits[0](.success(Polled(topics: [Topic("chat:c")!])))
    #expect(try poll.received() == "")
    #expect(try poll.port.take(Attach.self).isEmpty)
  }

  /// However long it took to learn what it is of: of two polls the one that came later stands.
  @Test func isAsOldAsItsRequest() async throws {
    let poll = try await PollFixture()
    poll.http.services.polledAnswer = nil
    try poll.ping(#"{"connectionId":"c1"}"#)
    poll.http.clock.advance(by: .seconds(3))
    poll.http.services.polledWaits[0](.success(Polled(topics: [])))
    poll.http.channel.embeddedEventLoop.run()
    let lease = try #require(try poll.port.take(Lease.self).first?.message)
    #expect(lease.beganMicroseconds == testNow * 1000)
  }

  /// What it waited for made it begin behind a later one, which its client still waits for.
  @Test func endsNoPollThatCameLater() async throws {
    let poll = try await PollFixture()
    poll.http.services.polledAnswer = nil
    try poll.ping(#"{"connectionId":"c1"}"#)
    let older = poll.channel
    poll.http.clock.advance(by: .seconds(3))
    try poll.reconnect()
    try poll.ping(#"{"connectionId":"c1","subscriptions":["user:ann"]}"#)
    try poll.begin(at: position(4))
    _ = try poll.port.take(Lease.self)
    poll.http.services.polledWaits[0](.success(Polled(topics: [])))
    poll.http.channel.embeddedEventLoop.run()
    let lease = try #require(try poll.port.take(Lease.self).first)
    #expect(try poll.received() == "")
    poll.scheduler {
      $0.frame(
        LeaseLost(session: lease.message.session, place: lease.message.place), correlation: lease.correlation)
    }
    #expect(try StreamFixture.received(older).contains(#""events":[]"#))
    poll.deliver(5, "{}")
    #expect(try poll.received().contains(#""offset":5"#))
  }

  /// A cursor has room for no more than a stream's.
  @Test func hasNoCursorOfVeryManyTopics() async throws {
    let poll = try await PollFixture()
    let topics = ["user:ann"] + (0..<HubLimits.streamTopicsMax).map { "chat:\($0)" }
    poll.http.services.polledAnswer = .success(Polled(topics: topics.map { Topic($0)! }))
    try poll.ping(#"{"connectionId":"c1"}"#)
    let attach = try #require(try poll.port.take(Attach.self).first)
    #expect(attach.message.topics.count == topics.count)
    poll.scheduler {
      $0.frame(
        Attached(answers: topics.map { _ in .granted(position(4), since: 0) }), correlation: attach.correlation)
    }
    try poll.watched(position(4))
    poll.deliver(5, "{}")
    let body = Answers(try poll.received())[0].body
    #expect(body.contains(#""offset":5"#) && !body.contains("cursor"), "\(body)")
  }

  @Test func answersAtOnceWhatIsPending() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"cursor":"user:ann=\#(epoch).2"}"#)
    try poll.begin(at: position(4), cursor: position(0))
    let read = try #require(try poll.port.take(Read.self).first)
    #expect(read.message.after == 2)
    poll.scheduler {
      ReadResult.write(
        epoch: epoch, floor: 0, through: 4, rows: [(offset: 4, record: record("d"))], correlation: read.correlation,
        into: &$0)
    }
    let body = Answers(try poll.received())[0].body
    #expect(body.contains(#""offset":4"#) && body.contains(#""cursor":"user:ann=\#(epoch).4""#))
    #expect(body.contains(#""gaps":[{"topic":"user:ann","from":3,"to":3,"reason":"expired"}]"#))
  }

  @Test func answersNothingWhenItWasHeldLongEnough() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"cursor":"user:ann=\#(epoch).4","holdMs":5000}"#)
    try poll.begin(at: position(4))
    poll.http.channel.embeddedEventLoop.advanceTime(by: .milliseconds(4999))
    #expect(try poll.received() == "")
    poll.http.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
    let body = Answers(try poll.received())[0].body
    #expect(body.contains(#""events":[],"cursor":"user:ann=\#(epoch).4""#))
    // Its session is gone.
    #expect(try poll.port.take(Detach.self).count == 1)
  }

  /// The client asked anew at another gateway, where its next poll is held.
  @Test func isAnsweredWhenItsLeaseIsLost() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"connectionId":"c1"}"#)
    let lease = try #require(try poll.port.take(Lease.self).first)
    #expect(lease.message.connection == "c1" && lease.message.use == .poll)
    try poll.begin(at: position(4))
    poll.scheduler {
      $0.frame(
        LeaseLost(session: lease.message.session, place: lease.message.place), correlation: lease.correlation)
    }
    let answer = Answers(try poll.received())[0]
    #expect(answer.status == 200 && answer.body.contains(#""events":[]"#))
    #expect(try poll.port.take(Detach.self).count == 1)
  }

  /// However short the hold is, what is pending comes first.
  @Test func isNotAnsweredBeforeItIsKnownWhatThereIs() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"cursor":"user:ann=\#(epoch).2","holdMs":0}"#)
    poll.http.channel.embeddedEventLoop.advanceTime(by: .milliseconds(50))
    #expect(try poll.received() == "", "the log has not answered")
    try poll.begin(at: position(3), cursor: position(0))
    let read = try #require(try poll.port.take(Read.self).first)
    #expect(try poll.received() == "", "there is something, and it has not come")
    poll.scheduler {
      ReadResult.write(
        epoch: epoch, floor: 0, through: 3, rows: [(offset: 3, record: record("d"))], correlation: read.correlation,
        into: &$0)
    }
    #expect(try poll.received().contains(#""offset":3"#))

    let empty = try await PollFixture()
    try empty.ping(#"{"cursor":"user:ann=\#(epoch).3","holdMs":0}"#)
    empty.http.channel.embeddedEventLoop.advanceTime(by: .milliseconds(50))
    #expect(try empty.received() == "")
    try empty.begin(at: position(3), cursor: position(3))
    #expect(try empty.received().contains(#""events":[]"#), "there is nothing")
  }

  @Test func isRefusedWhenTheLogDoesNotSay() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"cursor":"user:ann=\#(epoch).2","holdMs":0}"#)
    poll.http.channel.embeddedEventLoop.advanceTime(by: .seconds(9))
    #expect(try poll.received() == "")
    poll.http.channel.embeddedEventLoop.advanceTime(by: .seconds(2))
    #expect(Answers(try poll.received())[0].error?.hasPrefix("UNAVAILABLE: what there is") == true)
  }

  /// As deep as a publish may nest: in the answer's list it is deeper than any text from outside.
  @Test func tellsWhatIsNestedAsDeepAsCanBe() async throws {
    let poll = try await PollFixture()
    let deep = String(repeating: #"{"a":"#, count: 30) + "1" + String(repeating: "}", count: 30)
    try poll.ping(#"{"cursor":"user:ann=\#(epoch).4"}"#)
    try poll.begin(at: position(4))
    poll.deliver(5, deep)
    let body = Answers(try poll.received())[0].body
    #expect(body.contains(deep) && body.contains(#""cursor":"user:ann=\#(epoch).5""#))
  }

  @Test func tellsOfASubscriptionThatEnds() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"cursor":"user:ann=\#(epoch).4,chat:x=\#(epoch).1"}"#)
    let attach = try #require(try poll.port.take(Attach.self).first)
    poll.scheduler {
      $0.frame(
        Attached(answers: attach.message.topics.map { .granted(position($0.isGranted ? 4 : 1), since: 1) }),
        correlation: attach.correlation)
    }
    poll.mail(.access(AccessChanged(position: 1, changes: [.removed(Topic("chat:x")!, users: ["ann"])])))
    let body = Answers(try poll.received())[0].body
    #expect(
      body.contains(
        #""events":[],"unsubscribed":[{"topic":"chat:x","code":"PERMISSION_DENIED","message":"you are no member of chat:x"}]"#
      ))
    #expect(body.contains(#""cursor":"user:ann=\#(epoch).4""#))
  }

  @Test func acknowledgesWithACursorWhatCameBefore() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"cursor":"user:ann=\#(epoch).4"}"#)
    try poll.begin(at: position(4), cursor: position(1))
    #expect(try acknowledged(poll) == [position(4)])
    poll.deliver(5, "{}")
    _ = try poll.received()
    #expect(try acknowledged(poll) == [])
  }

  @Test func acknowledgesWithoutACursorWhatWasWritten() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"connectionId":"c1"}"#)
    try poll.begin(at: position(4))
    #expect(try acknowledged(poll) == [])
    poll.deliver(5, "{}")
    #expect(Answers(try poll.received())[0].status == 200)
    #expect(try acknowledged(poll) == [position(5)])
    #expect(try poll.port.take(Detach.self).count == 1)
  }

  @Test func acknowledgesNothingThatCouldNotBeWritten() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"connectionId":"c1"}"#)
    try poll.begin(at: position(4))
    try poll.hangUp()
    poll.deliver(5, "{}")
    #expect(try acknowledged(poll) == [])
    #expect(try poll.port.take(Detach.self).count == 1)
  }

  /// A client that aborts a request closes its side; ours is open, and takes whatever is written.
  @Test func acknowledgesNothingToAClientThatHasGone() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"deviceId":"phone"}"#)
    try poll.begin(at: position(4))
    try poll.finishSending()
    #expect(try poll.port.take(Detach.self).count == 1)
    poll.deliver(5, "{}")
    #expect(try poll.received() == "")
    #expect(try acknowledged(poll) == [])
  }

  @Test func refusesAnothersConnection() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"connectionId":"conn_others"}"#)
    let answer = Answers(try poll.received())[0]
    #expect(answer.status == 403 && answer.error?.contains("the connection conn_others is another user's") == true)
    #expect(try poll.port.take(Attach.self).isEmpty)
    poll.http.services.presenceAnswer = { _ in .failure(.presenceAway) }
    try poll.ping(#"{"connectionId":"conn_others"}"#)
    #expect(try poll.port.take(Attach.self).count == 1)
  }

  /// It is told in the codes of streams and WebSockets, and what came in the same turn comes again.
  @Test(arguments: [
    (false, 400, "FAILED_PRECONDITION", #""details":{"code":4505,"reason":"disconnected"}"#),
    (true, 409, "ABORTED", #""details":{"code":4005,"reason":"reconnect"}"#),
  ])
  func saysThatAServerEndedIt(mayReturn: Bool, status: Int, name: String, details: String) async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"connectionId":"c1"}"#)
    let attach = try #require(try poll.port.take(Attach.self).last)
    try poll.begin(attach, at: position(4))
    poll.presence { $0.frame(EndSessions(sessions: [attach.message.session], mayReturn: mayReturn)) }
    let answer = Answers(try poll.received())[0]
    #expect(answer.status == status)
    #expect(answer.error == "\(name): a server ended this connection of the user's")
    #expect(answer.body.contains(details))
    #expect(try acknowledged(poll) == [])
    #expect(try poll.port.take(Detach.self).count == 1)
  }

  /// delivery.md, rule 8: it comes with the answer, and moves neither the cursor nor what is acknowledged.
  @Test(arguments: [#""cursor":"user:ann=\#(testEpoch).1""#, #""connectionId":"c1""#])
  func anUrgentEventAheadMovesNoCursor(field: String) async throws {
    let poll = try await PollFixture()
    try poll.ping("{\(field)}")
    try poll.begin(at: position(3), cursor: position(1))
    #expect(try poll.port.take(Read.self).map(\.message.after) == [1])
    _ = try acknowledged(poll)
    poll.deliver(4, #"{"text":"fire"}"#, priority: .urgent)
    let body = Answers(try poll.received())[0].body
    #expect(body.contains(#""offset":4,"#) && body.contains(#""ahead":true"#) && body.contains("fire"))
    #expect(body.contains(#""cursor":"user:ann=\#(epoch).1""#), "\(body)")
    #expect(try acknowledged(poll).allSatisfy { $0 == position(1) })
  }

  @Test func answersTheOlderPollOfAConnectionWithNothing() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"connectionId":"c1"}"#)
    try poll.begin(at: position(4))
    let older = poll.channel
    try poll.reconnect()
    try poll.ping(#"{"connectionId":"c1"}"#)
    #expect(try StreamFixture.received(older).contains(#""events":[]"#))
    try poll.begin(at: nil, cursor: position(4))
    poll.deliver(5, "{}")
    #expect(try poll.received().contains(#""offset":5"#))
  }

  @Test func tellsWhyNot() async throws {
    let poll = try await PollFixture()
    for (data, status, message) in [
      (#"{"cursor":"nonsense"}"#, 400, "cursor is none of ours: nonsense"),
      (#"{"holdMs":60001}"#, 400, "holdMs must be an integer of 0 to 60000 milliseconds, not 60001"),
      (#"{"subscriptions":["user:ann","presence:bob"]}"#, 400, "leave presence:bob out"),
      (#"{"hold":1}"#, 400, "unknown field"), (#"{"subscriptions":["user:bob"]}"#, 403, "none of the topics"),
    ] {
      try poll.ping(data)
      let answer = Answers(try poll.received())[0]
      #expect(answer.status == status && answer.error?.contains(message) == true, "\(answer.body)")
    }
    try poll.ping("{}", user: nil)
    #expect(Answers(try poll.received())[0].status == 401)
    try poll.ping("{}")
    let attach = try #require(try poll.port.take(Attach.self).first)
    poll.scheduler { $0.frame(Failed(.unavailable, "the log is away"), correlation: attach.correlation) }
    let answer = Answers(try poll.received())[0]
    #expect(answer.status == 503 && answer.error == "UNAVAILABLE: the log is away")
  }

  @Test func answersWhenTheInstanceStops() async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"cursor":"user:ann=\#(epoch).4"}"#)
    try poll.begin(at: position(4))
    poll.http.service.streams?.polls.mailbox.post(.drain(.atOnce))
    #expect(try poll.received().contains(#""events":[],"cursor":"user:ann=\#(epoch).4""#))
  }

  /// Before it is known what there is: an answer with nothing would say that there is nothing.
  @Test(arguments: [false, true]) func saysThatItIsNotKnownWhatThereIs(isAttached: Bool) async throws {
    let poll = try await PollFixture()
    try poll.ping(#"{"cursor":"user:ann=\#(epoch).4"}"#)
    if isAttached { try poll.begin(at: nil, cursor: position(4)) }
    poll.http.service.streams?.polls.mailbox.post(.drain(.atOnce))
    let answer = Answers(try poll.received())[0]
    #expect(answer.status == 503 && answer.body.contains(#""retryAfterMs":1000"#), "\(answer.body)")
  }

  /// A session that is ending is gone with the next turn: where it stands is asked before.
  @Test(arguments: ["cursor\":\"user:ann=\(testEpoch).4", "connectionId\":\"c1"])
  func saysWhereItStandsThoughItsSessionEnds(field: String) async throws {
    let poll = try await PollFixture()
    try poll.ping("{\"\(field)\"}")
    try poll.begin(at: position(4))
    poll.deliver(5, "{}")
    poll.mail(.drain(.atOnce))
    let body = Answers(try poll.received())[0].body
    let told: UInt64 = body.contains(#""offset":5"#) ? 5 : 4
    #expect(body.contains(#""cursor":"user:ann=\#(epoch).\#(told)""#), "\(body)")
  }

  /// Over a WebSocket everything comes by itself.
  @Test func isNotHeldOverASession() async throws {
    let fixture = try await CallFixture()
    let answer = try fixture.call(name, "{}", as: .user(CallFixture.ann), carrier: .session(FakeSession()))
    #expect(answer.hasPrefix(#"{"success":true,"events":[]"#))
  }

  private func acknowledged(_ poll: PollFixture) throws -> [Position] {
    try poll.port.take(Acknowledge.self).flatMap(\.message.entries).map(\.position)
  }

  private func position(_ offset: UInt64) -> Position { Position(epoch: epoch, offset: offset) }
}

/// A connection that polls.
private final class PollFixture {
  private let stream: StreamFixture

  init() async throws {
    stream = try await StreamFixture(.poll)
  }

  var http: HTTPFixture { stream.http }
  var port: TestPort { stream.port }
  var channel: EmbeddedChannel { stream.channel }

  func ping(_ data: String, user: String? = "ann") throws {
    try stream.send(stream.request("POST /realtimePingV1", user: user, body: #"{"data":\#(data)}"#))
  }

  /// Registers the poll, and tells where its topic stands unless that is known.
  func begin(at head: Position?, cursor: Position? = nil) throws {
    try begin(try #require(try port.take(Attach.self).last), at: head, cursor: cursor)
  }

  func begin(_ attach: (message: Attach, correlation: UInt32), at head: Position?, cursor: Position? = nil) throws {
    try stream.attached(attach, at: [cursor ?? head ?? .none])
    if let head { try stream.watched(head) }
  }

  func watched(_ heads: Position...) throws {
    scheduler {
      $0.frame(
        Watched(
          heads: heads.enumerated().map {
            Head(handle: stream.handle + UInt32($0.offset), position: $0.element, floor: 0)
          }))
    }
  }

  func deliver(_ offset: UInt64, _ payload: String, priority: Priority = .normal) {
    stream.deliver(offset, payload, priority: priority)
  }
  func scheduler(_ build: (inout WireWriter) -> Void) { stream.scheduler(build) }
  func presence(_ build: (inout WireWriter) -> Void) {
    var writer = WireWriter()
    build(&writer)
    mail(.presence(ByteBuffer(bytes: writer.bytes)))
  }
  func mail(_ mail: HubMail) { stream.mailbox.post(mail) }
  func received() throws -> String { try stream.received() }
  func reconnect() throws { try stream.reconnect() }

  func finishSending() throws {
    stream.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    stream.channel.embeddedEventLoop.run()
  }

  func hangUp() throws {
    stream.channel.close(promise: nil)
    stream.channel.embeddedEventLoop.run()
  }
}
