import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway
@testable import AvaloReactor

/// Who is typing, as one loop tells it.
@Suite struct HubTypingTests {
  private let head = Position(epoch: testEpoch, offset: 0)

  /// Sessions that are live in the chat `c`; its topic is the first one watched.
  private func chat(_ users: (name: String, device: String)...) throws -> (TestLoop, [ConnectionID]) {
    let loop = try TestLoop()
    loop.linkUp()
    var connections: [ConnectionID] = []
    for user in users {
      let connection = loop.open()
      loop.turn {
        loop.hub.connect(
          loop.hub.session(of: connection)!, identity(user.name, chats: ["c"]),
          ConnectRequest(deviceID: user.device, subscriptions: ["chat:c"]))
      }
      let attach = try #require(try loop.port.take(Attach.self).last)
      loop.scheduler { $0.frame(Attached(cursors: [head]), correlation: attach.correlation) }
      connections.append(connection)
    }
    try loop.watched(head)
    for connection in connections { _ = loop.take(connection) }
    return (loop, connections)
  }

  private func type(
    _ loop: TestLoop, _ isTyping: Bool = true, device: String = "phone", sequence: UInt64 = 1, chat: String = "c"
  ) {
    loop.presence {
      $0.frame(
        TypingChanged(
          user: "ann", chat: chat, device: device, isTyping: isTyping, sequence: sequence,
          expiresMilliseconds: isTyping ? 5000 : 0))
    }
  }

  /// `true` and `false` for each indicator that came.
  private func typing(_ loop: TestLoop, _ connection: ConnectionID) -> [Bool] {
    loop.take(connection).compactMap { frame in
      frame.contains("typing_indicator") ? frame.contains(#""isTyping":true"#) : nil
    }
  }

  @Test func tellsParticipantsInTheSeedsWords() throws {
    let (loop, connections) = try chat(("bob", "web"))
    type(loop)
    #expect(
      loop.take(connections[0]) == [
        #"{"event":{"eventId":"typ_1","type":"typing_indicator","sourceUserId":"ann","payload":{"chatId":"c","#
          + #""userId":"ann","isTyping":true,"expiresInMs":5000},"timestamp":\#(loop.clock.wall.milliseconds),"#
          + #""ttl":5},"topic":"chat:c"}"#
      ])
    type(loop, false, sequence: 2)
    #expect(typing(loop, connections[0]) == [false])
  }

  @Test func doesNotTellTheDeviceThatTypes() throws {
    let (loop, connections) = try chat(("ann", "phone"), ("ann", "web"), ("bob", "phone"))
    type(loop, device: "phone")
    #expect(connections.map { typing(loop, $0).count } == [0, 1, 1])
    // Over HTTP nobody knows which device it is.
    type(loop, device: "", sequence: 2)
    #expect(connections.map { typing(loop, $0).count } == [0, 0, 1])
  }

  @Test func endsItByItself() throws {
    let (loop, connections) = try chat(("bob", "web"))
    type(loop)
    loop.advance(4)
    #expect(typing(loop, connections[0]) == [true])
    loop.advance(1)
    #expect(typing(loop, connections[0]) == [false])
    loop.advance(10)
    #expect(typing(loop, connections[0]).isEmpty)
    // Said again in time, it goes on.
    type(loop, sequence: 2)
    loop.advance(3)
    type(loop, sequence: 3)
    loop.advance(4)
    #expect(typing(loop, connections[0]) == [true, true])
    loop.advance(1)
    #expect(typing(loop, connections[0]) == [false])
  }

  @Test func endsWithTheUsersOwnMessage() throws {
    let (loop, connections) = try chat(("bob", "web"), ("ann", "phone"))
    type(loop, sequence: 7)
    _ = loop.take(connections[0])
    loop.deliver(1, "from another", source: "eve")
    #expect(loop.take(connections[0]).events == ["1:from another"])
    loop.deliver(2, "hello", source: "ann")
    let frames = loop.take(connections[0])
    #expect(frames.count == 2 && frames[0].contains("hello") && frames[1].contains(#""isTyping":false"#))
    #expect(loop.take(connections[1]).allSatisfy { !$0.contains("typing_indicator") })
    #expect(
      try loop.port.takePresence(TypingEnded.self).map(\.message) == [
        TypingEnded(user: "ann", chat: "c", sequence: 7, isForOthers: false)
      ])
    loop.deliver(3, "again", source: "ann")
    loop.advance(10)
    #expect(typing(loop, connections[0]).isEmpty, "it has ended once")
  }

  /// As a backend sends it that knows of no topics: to an inbox, with the chat in the payload.
  @Test func endsWithTheUsersOwnMessageInAnInbox() throws {
    let (loop, connections) = try chat(("bob", "web"))
    loop.say(connections[0], #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["user:bob"]}}"#)
    let cursors = try #require(try loop.port.take(Cursors.self).last)
    loop.scheduler { $0.frame(Attached(cursors: [head]), correlation: cursors.correlation) }
    let inbox = loop.handle + 1
    loop.scheduler { $0.frame(Watched(heads: [Head(handle: inbox, position: head, floor: 0)])) }
    _ = loop.take(connections[0])
    type(loop, sequence: 7)
    #expect(typing(loop, connections[0]) == [true])
    loop.deliver(1, "elsewhere", source: "ann", chat: "d", handle: inbox)
    #expect(typing(loop, connections[0]).isEmpty)
    loop.deliver(2, "nowhere", source: "ann", handle: inbox)
    #expect(typing(loop, connections[0]).isEmpty)
    loop.deliver(3, "hello", source: "ann", chat: "c", handle: inbox)
    let frames = loop.take(connections[0])
    #expect(frames.count == 2 && frames[0].contains("hello") && frames[1].contains(#""isTyping":false"#))
    let ended = TypingEnded(user: "ann", chat: "c", sequence: 7, isForOthers: true)
    #expect(try loop.port.takePresence(TypingEnded.self).map(\.message) == [ended])
    // What the presence worker tells all then is known here.
    type(loop, false, sequence: 8)
    loop.advance(10)
    #expect(typing(loop, connections[0]).isEmpty, "it has ended once")
  }

  /// Nobody of this loop is in the chat; those who are, elsewhere, hear of it by the presence worker.
  @Test func aMessageToAnInboxEndsItForOthers() throws {
    let loop = try TestLoop()
    let bob = try loop.live("bob", at: head)
    type(loop, sequence: 7)
    loop.deliver(1, "hello", source: "ann", chat: "c")
    #expect(loop.take(bob).events == ["1:hello"])
    let ended = TypingEnded(user: "ann", chat: "c", sequence: 7, isForOthers: true)
    #expect(try loop.port.takePresence(TypingEnded.self).map(\.message) == [ended])
  }

  /// A gateway whose loops were not delivered the message.
  @Test func endsByThePresenceWorkersWord() throws {
    let (loop, connections) = try chat(("bob", "web"))
    type(loop, sequence: 7)
    type(loop, false, sequence: 8)
    #expect(typing(loop, connections[0]) == [true, false])
    #expect(loop.hub.typing.isEmpty)
  }

  @Test func isForgottenFirstUnderPressure() throws {
    let (loop, connections) = try chat(("bob", "web"), ("eve", "web"))
    loop.stuck.insert(connections[0].slot)
    var offset: UInt64 = 0
    while loop.writer.backlog(connections[0]) <= loop.hub.policy.limits.backlogBytesMax / 4 {
      offset += 1
      loop.deliver(offset, String(repeating: "x", count: 4000))
    }
    _ = loop.take(connections[1])
    type(loop)
    #expect(typing(loop, connections[1]) == [true])
    loop.unstick(connections[0])
    let frames = loop.take(connections[0])
    #expect(frames.events.count == Int(offset) && frames.allSatisfy { !$0.contains("typing_indicator") })
  }

  @Test func isNoBusinessOfOtherChats() throws {
    let (loop, connections) = try chat(("bob", "web"))
    type(loop, chat: "d")
    #expect(loop.take(connections[0]).isEmpty)
    loop.advance(5)
    #expect(loop.take(connections[0]).isEmpty)
    #expect(loop.hub.typing.isEmpty)
  }
}
