import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway
@testable import AvaloReactor

/// Watching users, as one loop does it; the presence worker is played by the test.
@Suite struct HubPresenceTests {
  private let head = Position(epoch: testEpoch, offset: 0)

  private func watch(_ loop: TestLoop, _ connection: ConnectionID, _ users: String...) throws -> [UInt32] {
    try loop.watch(connection, users)
  }

  private func tell(
    _ loop: TestLoop, _ handles: [UInt32], _ version: UInt64, _ status: PresenceStatus, activity: String = "",
    chats: [String] = [], seen: Int64 = 0
  ) {
    loop.tell(handles, version, status, activity: activity, chats: chats, seen: seen)
  }

  private func news(_ loop: TestLoop, _ connection: ConnectionID) -> [String] { loop.news(connection) }

  @Test func beginsWithASnapshotAndGoesOnWithChanges() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    let handles = try watch(loop, ann, "bob")
    #expect(
      loop.take(ann) == [
        #"{"id":1,"result":{"enabled":true,"connectionId":"\#(loop.hub.session(of: ann)!.connectionID)","#
          + #""subscriptions":["presence:bob"],"denied":[],"expiresAt":\#(loop.hub.session(of: ann)!.expiresAtMilliseconds)}}"#
      ])
    loop.presence {
      $0.frame(
        PresenceChanged(
          version: 7, handles: handles,
          state: PresenceState(
            status: .online, platform: .web, lastSeenMilliseconds: 5, lastActiveMilliseconds: 4, customStatus: "hi"),
          chats: []))
    }
    let now = loop.clock.wall.milliseconds
    #expect(
      loop.take(ann) == [
        #"{"event":{"eventId":"prs_7","type":"presence_update","sourceUserId":"bob","payload":{"userId":"bob","#
          + #""status":"online","lastSeenAt":5,"platform":"web","customStatus":"hi","lastActiveAt":4,"activity":null,"#
          + #""location":null},"timestamp":\#(now)},"topic":"presence:bob","version":7,"snapshot":true}"#
      ])
    tell(loop, handles, 9, .away)
    #expect(news(loop, ann) == ["bob away"])
  }

  @Test func watchesAUserOnceForAllWhoWatch() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    let handles = try watch(loop, ann, "bob", "eve")
    #expect(handles.count == 2)
    tell(loop, [handles[0]], 1, .online)
    let zoe = try loop.live("zoe", at: head)
    #expect(try watch(loop, zoe, "bob").isEmpty)
    #expect(news(loop, zoe) == ["bob online (snapshot)"], "what is known is told at once")
    tell(loop, [handles[0]], 2, .busy)
    #expect(news(loop, zoe) == ["bob busy"] && news(loop, ann) == ["bob online (snapshot)", "bob busy"])
    // The last to leave ends the watch; its handle is used again when it is free.
    loop.say(ann, #"{"id":2,"call":"unsubscribe","data":{"subscriptions":["presence:bob"]}}"#)
    #expect(try loop.port.takePresence(UnwatchPresence.self).isEmpty)
    loop.hangUp(zoe)
    #expect(try loop.port.takePresence(UnwatchPresence.self).map(\.message.handles) == [[handles[0]]])
    #expect(try watch(loop, ann, "ida") != [handles[0]])
    loop.presence { $0.frame(PresenceUnwatched(handles: [handles[0]])) }
    #expect(try watch(loop, ann, "bob") == [handles[0]])
    tell(loop, [handles[0]], 1, .away)
    #expect(news(loop, ann) == ["bob away (snapshot)"], "nothing is left of the handle's former life")
  }

  /// Also in the connect frame, without waiting; but nothing comes before `ready`.
  @Test func sendsNothingBeforeReady() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.live("ann", at: head)
    let handles = try watch(loop, ann, "bob")
    tell(loop, handles, 1, .online)
    let zoe = loop.open()
    loop.turn {
      loop.hub.connect(
        loop.hub.session(of: zoe)!, identity("zoe"),
        ConnectRequest(subscriptions: ["presence:bob", "user:zoe", "presence:ida"]))
    }
    tell(loop, handles, 2, .busy)
    #expect(loop.take(zoe).isEmpty)
    let attach = try #require(try loop.port.take(Attach.self).last)
    #expect(attach.message.topics.map(\.topic.name) == ["user:zoe"], "the log has no part in it")
    loop.scheduler { $0.frame(Attached(cursors: [head]), correlation: attach.correlation) }
    let frames = loop.take(zoe)
    #expect(frames.first?.contains(#""subscriptions":["user:zoe","presence:bob","presence:ida"]"#) == true)
    #expect(frames.count == 2 && frames[1].contains(#""status":"busy""#) && frames[1].contains(#""snapshot":true"#))
  }

  @Test func passesOnOnlyWhatIsNews() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    let handles = try watch(loop, ann, "bob")
    tell(loop, handles, 5, .online, seen: 1)
    tell(loop, handles, 6, .online, seen: 2)
    tell(loop, handles, 4, .offline)
    #expect(news(loop, ann) == ["bob online (snapshot)"])
    // The time it was seen is kept all the same.
    let zoe = try loop.live("zoe", at: head)
    _ = try watch(loop, zoe, "bob")
    #expect(loop.take(zoe).contains { $0.contains(#""lastSeenAt":2"#) })
  }

  /// The presence worker restarts: sessions stay, all is watched anew, and only what is another than before is told.
  @Test func convergesAfterTheLinkWasLost() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    let handles = try watch(loop, ann, "bob", "eve", "ida")
    for (handle, version) in zip(handles, UInt64(1)...) { tell(loop, [handle], version, .online) }
    _ = news(loop, ann)
    loop.say(ann, #"{"id":2,"call":"unsubscribe","data":{"subscriptions":["presence:ida"]}}"#)
    loop.mail(.presenceUp)
    loop.turn()
    let watched = try loop.port.takePresence(WatchPresence.self).flatMap(\.message.entries)
    #expect(
      watched == [
        .init(handle: handles[0], version: 1, user: "bob"), .init(handle: handles[1], version: 2, user: "eve"),
      ])
    #expect(loop.port.presence.last?.kind == .sessionsEnd)
    tell(loop, [handles[0]], 11, .online)
    tell(loop, [handles[1]], 12, .offline)
    #expect(news(loop, ann) == ["eve offline"])
    #expect(try watch(loop, ann, "ida") == [handles[2]], "the new link never knew of it")
  }

  // MARK: - Who sees what

  @Test func showsEachViewerTheirPart() throws {
    let loop = try TestLoop()
    let stranger = try loop.live("zoe", at: head)
    let partner = try loop.live("ann", at: head, chats: ["c1"])
    let owner = try loop.live("bob", at: head)
    let handles = try watch(loop, stranger, "bob")
    for connection in [partner, owner] { _ = try watch(loop, connection, "bob") }
    tell(loop, handles, 1, .online, activity: "singing", chats: ["c1", "c2"])
    #expect(loop.answerMemberships([:]) == ["zoe"], "of the others it is known what they are")
    #expect(news(loop, stranger) == ["bob online (snapshot)"])
    #expect(news(loop, partner) == ["bob online singing (snapshot)"])
    #expect(news(loop, owner) == ["bob online singing (snapshot)"])
    // A change that a stranger cannot see is no news to them.
    tell(loop, handles, 2, .online, activity: "dancing", chats: ["c1", "c2"])
    #expect(news(loop, stranger).isEmpty && news(loop, partner) == ["bob online dancing"])
    tell(loop, handles, 3, .busy, activity: "dancing", chats: ["c9"])
    #expect(loop.answerMemberships([:]) == ["ann"], "her token says nothing of it, and the log may")
    #expect(news(loop, stranger) == ["bob busy"] && news(loop, partner) == ["bob busy (snapshot)"])
    #expect(news(loop, owner) == ["bob online dancing", "bob busy dancing"])
  }

  // MARK: - Bounds

  @Test func boundsHowManyAreWatched() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    let max = loop.hub.policy.limits.presenceTopicsMax
    func say(_ users: some Sequence<Int>) {
      let topics = users.map { "\"presence:u\($0)\"" }.joined(separator: ",")
      loop.say(ann, #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":[\#(topics)]}}"#)
    }
    say(0..<max)
    #expect(try loop.port.takePresence(WatchPresence.self).map(\.message.entries.count) == [512, 488])
    _ = loop.take(ann)
    say(0..<max)
    #expect(loop.take(ann).first?.contains(#""result""#) == true, "they are watched already")
    say([max])
    #expect(
      loop.take(ann) == [
        #"{"id":1,"error":{"status":"RESOURCE_EXHAUSTED","message":"#
          + #""a connection may watch the presence of 1000 users, and this would make 1001","#
          + #""details":{"limit":{"name":"presence_topics","max":1000}}}}"#
      ])
    // They are not counted among its topics.
    #expect(loop.hub.session(of: ann)?.subscriptionCount == 1)
    loop.hangUp(ann)
    #expect(try loop.port.takePresence(UnwatchPresence.self).flatMap(\.message.handles).count == max)
    #expect(loop.hub.presence.count == 0)
  }

  @Test func deniesWhomTheFeatureIsOffFor() throws {
    let loop = try TestLoop()
    loop.mail(.policy(.forTests { $0.flags.presence.deny = ["zoe"] }))
    loop.linkUp()
    let zoe = loop.open()
    loop.turn {
      loop.hub.connect(
        loop.hub.session(of: zoe)!, identity("zoe"), ConnectRequest(subscriptions: ["user:zoe", "presence:bob"]))
    }
    #expect(
      loop.hub.session(of: zoe)?.entry?.denied == [.init(topic: "presence:bob", code: .failedPrecondition)])
  }

  /// A slow consumer gets the last state, once it reads again.
  @Test func tellsASlowConsumerTheLastStateWhenItReadsAgain() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    let handles = try watch(loop, ann, "bob", "eve")
    for (handle, version) in zip(handles, UInt64(1)...) { tell(loop, [handle], version, .online) }
    _ = news(loop, ann)
    loop.stuck.insert(ann.slot)
    var version: UInt64 = 10
    while loop.writer.backlog(ann) <= loop.hub.policy.limits.backlogBytesMax {
      version += 1
      tell(loop, [handles[0]], version, version % 2 == 0 ? .online : .busy)
    }
    tell(loop, [handles[0]], version + 1, .away)
    tell(loop, [handles[0]], version + 2, .offline)
    loop.unstick(ann)
    let last = Array(news(loop, ann).suffix(2))
    #expect(last == ["bob \(version % 2 == 0 ? "online" : "busy")", "bob offline (snapshot)"])
  }

  // MARK: - For servers

  @Test func saysWhatSessionsAreSubscribedTo() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    _ = try watch(loop, ann, "bob")
    let number = loop.hub.session(of: ann)!.number
    loop.presence { $0.frame(DescribeSessions(sessions: [number, number + 1, 2 << 56 | 1]), correlation: 9) }
    let said = try loop.port.takePresence(SessionsDescribed.self)
    #expect(said.map(\.correlation) == [9])
    #expect(
      said.first?.message.entries == [
        .init(
          session: number,
          subscriptions: SessionSubscriptions(count: 2, topics: [Topic("user:ann")!, Topic("presence:bob")!])),
        .init(session: number + 1, subscriptions: SessionSubscriptions()),
      ])
  }

  @Test(arguments: [(false, UInt16(4505)), (true, 4005)])
  func endsSessionsThatAServerWantsToEnd(mayReturn: Bool, code: UInt16) throws {
    let loop = try TestLoop()
    let (ann, bob) = (try loop.live("ann", at: head), try loop.live("bob", at: head))
    let number = loop.hub.session(of: ann)!.number
    loop.presence { $0.frame(EndSessions(sessions: [number, 2 << 56 | number], mayReturn: mayReturn)) }
    #expect(loop.closes[ann.slot] == code && loop.closes[bob.slot] == nil)
  }

  @Test func cutsALinkThatSendsRubbish() throws {
    let loop = try TestLoop()
    loop.presence { $0.frame(.presenceChanged) { $0.integer(UInt8(1)) } }
    #expect(loop.port.brokenPresence.count == 1)
  }
}
