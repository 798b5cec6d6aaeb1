import AvaloCore
import AvaloReactor
import AvaloWire
import Testing

@testable import AvaloGateway

/// What sessions hear of read state.
@Suite struct HubReadsTests {
  private let head = Position(epoch: testEpoch, offset: 4)

  private func receipt(_ version: UInt64, to targets: [UInt32], _ loop: TestLoop) {
    let record = EventFields(
      type: .readReceipt, timestampMilliseconds: 5, acceptedMicroseconds: 5000, eventID: "read_\(version)",
      sourceUserID: "bob", chatID: "c", messageID: "m", payload: Array(#"{"chatId":"c"}"#.utf8)
    ).record()
    loop.scheduler { Latest.write(version: version, record: record, targets: targets, into: &$0) }
  }

  @Test func aSessionThatComesInIsToldWhatIsUnread() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let connection = loop.open()
    let request = ConnectRequest(subscriptions: ["user:ann", "chat:c"])
    loop.turn { loop.hub.connect(loop.hub.session(of: connection)!, identity("ann", chats: ["c"]), request) }
    let query = try #require(try loop.port.take(QueryReads.self).last)
    #expect(query.message == QueryReads(user: "ann", chats: ["c"]))
    loop.scheduler {
      $0.frame(
        ReadState(
          unread: [.init(chat: "c", count: 3)],
          receipts: [.init(chat: "c", user: "bob", messageID: "m", readMilliseconds: 9, version: 2)]),
        correlation: query.correlation)
    }
    let attach = try #require(try loop.port.take(Attach.self).last)
    loop.scheduler { $0.frame(Attached(cursors: [head, head]), correlation: attach.correlation) }
    let ready = try #require(loop.take(connection).first)
    #expect(
      ready.contains(
        #""unread":{"c":3},"receipts":[{"chatId":"c","userId":"bob","messageId":"m","readAt":9,"version":2}]"#))
  }

  /// It is counted beside the log: whichever answer comes first, `ready` says both, and nothing goes before it.
  @Test func readyWaitsForWhatIsUnread() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let connection = loop.open()
    loop.turn { loop.hub.connect(loop.hub.session(of: connection)!, identity("ann"), ConnectRequest()) }
    let query = try #require(try loop.port.take(QueryReads.self).last)
    let attach = try #require(try loop.port.take(Attach.self).last)
    loop.scheduler { $0.frame(Attached(cursors: [head]), correlation: attach.correlation) }
    try loop.watched(Position(epoch: testEpoch, offset: 5))
    #expect(loop.take(connection).isEmpty)
    loop.scheduler {
      $0.frame(ReadState(unread: [.init(chat: "c", count: 1000)], receipts: []), correlation: query.correlation)
    }
    let ready = try #require(loop.take(connection).first)
    #expect(ready.kindOfFrame == "ready" && ready.contains(#""unread":{"c":1000}"#))
    #expect(try loop.port.take(Read.self).first?.message.after == 4, "what it missed is read now, and not before")
  }

  /// Nothing was missed: that it is live is not said before `ready` either, on a stream not before its answer's head.
  @Test func readyGoesBeforeLive() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let connection = loop.open()
    loop.turn { loop.hub.connect(loop.hub.session(of: connection)!, identity("ann"), ConnectRequest()) }
    let query = try #require(try loop.port.take(QueryReads.self).last)
    let attach = try #require(try loop.port.take(Attach.self).last)
    loop.scheduler { $0.frame(Attached(cursors: [head]), correlation: attach.correlation) }
    try loop.watched(head)
    #expect(loop.take(connection).isEmpty)
    loop.scheduler { $0.frame(ReadState(unread: [], receipts: []), correlation: query.correlation) }
    #expect(loop.take(connection).map(\.kindOfFrame) == ["ready", "live"])
  }

  /// A receipt that is marked after counting, and before the session is told what was counted, is in neither: it is told
  /// behind `ready`.
  @Test func aReceiptBetweenCountingAndReadyIsToldBehindIt() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let connection = loop.open()
    let request = ConnectRequest(subscriptions: ["user:ann", "chat:c"])
    loop.turn { loop.hub.connect(loop.hub.session(of: connection)!, identity("ann", chats: ["c"]), request) }
    // It is counted where the watches are in force: whatever is marked later comes by one of them.
    let kinds = loop.port.frames.map(\.kind)
    let (watch, asked) = (try #require(kinds.lastIndex(of: .watch)), try #require(kinds.firstIndex(of: .queryReads)))
    #expect(watch < asked)
    let query = try #require(try loop.port.take(QueryReads.self).last)
    let attach = try #require(try loop.port.take(Attach.self).last)
    let handles = try loop.port.take(Watch.self).flatMap { $0.message.entries.map(\.handle) }
    loop.scheduler { $0.frame(ReadState(unread: [], receipts: []), correlation: query.correlation) }
    // In two of its topics, and told once.
    receipt(7, to: handles, loop)
    #expect(loop.take(connection).isEmpty)
    loop.scheduler { $0.frame(Attached(cursors: [head, head]), correlation: attach.correlation) }
    let told = loop.take(connection)
    #expect(told.first?.kindOfFrame == "ready")
    #expect(told.filter { $0.contains("read_7") }.count == 1)
    receipt(8, to: handles, loop)
    #expect(loop.take(connection).filter { $0.contains("read_8") }.count == 1)
  }

  /// Not of a chat that it is not let into after all; and more than can be held is asked for.
  @Test func whatIsHeldIsToldOnlyToWhoIsLetIn() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let connection = loop.open()
    let request = ConnectRequest(subscriptions: ["user:ann", "chat:c"])
    loop.turn { loop.hub.connect(loop.hub.session(of: connection)!, identity("ann"), request) }
    let query = try #require(try loop.port.take(QueryReads.self).last)
    let attach = try #require(try loop.port.take(Attach.self).last)
    let entries = try loop.port.take(Watch.self).flatMap(\.message.entries)
    let chat = try #require(entries.first { $0.topic.name == "chat:c" }).handle
    loop.scheduler { $0.frame(ReadState(unread: [], receipts: []), correlation: query.correlation) }
    for version in 1...UInt64(HubLimits.heldReceiptsMax + 1) { receipt(version, to: [chat], loop) }
    loop.scheduler {
      $0.frame(
        Attached(
          answers: attach.message.topics.map {
            $0.topic.name == "chat:c" ? .denied(.permissionDenied) : .granted(head, since: 0)
          }), correlation: attach.correlation)
    }
    let told = loop.take(connection)
    #expect(told.first?.kindOfFrame == "ready" && !told.contains { $0.contains("read_") })
    #expect(try loop.port.take(QueryReads.self).isEmpty, "it is in no chat")
  }

  @Test func aNewLinkAsksAnewForWhoWaits() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let connection = loop.open()
    loop.turn { loop.hub.connect(loop.hub.session(of: connection)!, identity("ann"), ConnectRequest()) }
    let query = try #require(try loop.port.take(QueryReads.self).last)
    let attach = try #require(try loop.port.take(Attach.self).last)
    loop.scheduler { $0.frame(Attached(cursors: [head]), correlation: attach.correlation) }
    loop.linkDown()
    loop.linkUp()
    let again = try #require(try loop.port.take(QueryReads.self).last)
    loop.scheduler { $0.frame(ReadState(unread: [], receipts: []), correlation: query.correlation) }
    loop.scheduler { $0.frame(ReadState(unread: [], receipts: []), correlation: again.correlation) }
    #expect(loop.take(connection).isEmpty, "it is not registered on this link")
    let attached = try #require(try loop.port.take(Attach.self).last)
    loop.scheduler { $0.frame(Attached(cursors: [head]), correlation: attached.correlation) }
    #expect(loop.take(connection).first?.kindOfFrame == "ready")
  }

  /// What is unread cannot be said: nobody waits outside for it.
  @Test func aSessionComesInWithoutIt() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let other = loop.open()
    loop.turn { loop.hub.connect(loop.hub.session(of: other)!, identity("bob"), ConnectRequest()) }
    let asked = try #require(try loop.port.take(QueryReads.self).last)
    let attach = try #require(try loop.port.take(Attach.self).last)
    loop.scheduler {
      $0.frame(Failed(.unavailable, "too much to do"), correlation: asked.correlation)
      $0.frame(Attached(cursors: [head]), correlation: attach.correlation)
    }
    #expect(loop.take(other).first?.contains("unread") == false)
  }

  /// A session of ann's that is live in her inbox and in `chat:c`, and the chat's handle.
  private func inChat(_ loop: TestLoop) throws -> (ConnectionID, UInt32) {
    let ann = try loop.live("ann", at: head, chats: ["c"])
    loop.say(ann, #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["chat:c"]}}"#)
    let watch = try #require(try loop.port.take(Watch.self).last?.message.entries.last)
    let cursors = try #require(try loop.port.take(Cursors.self).last)
    loop.scheduler {
      $0.frame(Attached(cursors: [head]), correlation: cursors.correlation)
      $0.frame(Watched(heads: [Head(handle: watch.handle, position: head, floor: 0)]))
    }
    return (ann, watch.handle)
  }

  @Test func tellsEachSubscriberOnce() throws {
    let loop = try TestLoop()
    let (ann, handle) = try inChat(loop)
    _ = loop.take(ann)
    receipt(7, to: [handle, loop.handle], loop)
    #expect(
      loop.take(ann) == [
        #"{"event":{"eventId":"read_7","type":"read_receipt","sourceUserId":"bob","payload":{"chatId":"c"},"#
          + #""timestamp":5},"topic":"chat:c","version":7}"#
      ])
    // Nobody of this loop, and what is not watched any more.
    receipt(8, to: [0x0200_0000, 0x01FF_FFFF], loop)
    #expect(loop.take(ann).isEmpty)
  }

  @Test func aParkedSessionIsLeftAlone() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    loop.stuck.insert(ann.slot)
    let big = String(repeating: "x", count: loop.hub.policy.limits.backlogBytesMax)
    for offset in 5...6 as ClosedRange<UInt64> { loop.deliver(offset, big) }
    receipt(7, to: [loop.handle], loop)
    loop.unstick(ann)
    #expect(!loop.take(ann).contains { $0.contains("read_7") })
  }

  /// When it reads again, it hears where everybody stands in the chats it is in.
  @Test func aSlowSessionIsToldWhatItMissed() throws {
    let loop = try TestLoop()
    let (ann, handle) = try inChat(loop)
    _ = try loop.port.take(QueryReads.self)
    loop.stuck.insert(ann.slot)
    let big = String(repeating: "x", count: loop.hub.policy.limits.backlogBytesMax)
    for offset in 5...6 as ClosedRange<UInt64> { loop.deliver(offset, big) }
    receipt(7, to: [handle], loop)
    loop.unstick(ann)
    let query = try #require(try loop.port.take(QueryReads.self).last)
    #expect(query.message.chats == ["c"])
    _ = loop.take(ann)
    loop.scheduler {
      $0.frame(
        ReadState(
          unread: [],
          receipts: [
            .init(chat: "c", user: "bob", messageID: "m", readMilliseconds: 5, version: 7),
            .init(chat: "d", user: "bob", messageID: "m", readMilliseconds: 5, version: 8),
          ]),
        correlation: query.correlation)
    }
    #expect(
      loop.take(ann) == [
        #"{"event":{"eventId":"read_7","type":"read_receipt","sourceUserId":"bob","payload":{"chatId":"c","#
          + #""userId":"bob","messageId":"m","readAt":5},"timestamp":5},"topic":"chat:c","version":7}"#
      ])
  }

  @Test func aNewLinkIsAskedForWhatWasMissed() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    #expect(try loop.port.take(LatestSeen.self).map(\.message.version) == [0])
    loop.scheduler { $0.frame(LatestAt(version: 40), correlation: 1 << 24) }
    receipt(41, to: [loop.handle], loop)
    _ = loop.take(ann)
    loop.linkDown()
    loop.linkUp()
    let seen = try #require(try loop.port.take(LatestSeen.self).last)
    #expect(seen.message.version == 41 && seen.correlation >> 24 == UInt32(loop.hub.loop))
    // A log that was rewound begins below.
    loop.scheduler { $0.frame(LatestAt(version: 12), correlation: 1 << 24) }
    #expect(loop.hub.latestVersion == 12)
  }
}
