import AvaloCore
import AvaloReactor
import AvaloSystem
import AvaloWire
import Testing

@testable import AvaloGateway

/// Rights that end while sessions live, as one loop keeps them; the scheduler is played by the test.
@Suite struct HubAccessTests {
  private let chat = Topic("chat:c")!

  private func position(_ offset: UInt64) -> Position { Position(epoch: testEpoch, offset: offset) }

  /// Opens a connection that subscribes to these topics, and answers its attach.
  private func connect(
    _ loop: TestLoop, _ user: String, _ topics: [String], presents: [Topic: Position] = [:], token: String = "",
    chats: [String] = [], answers: (([Attach.Wanted]) -> [Attached.Answer])? = nil
  ) throws -> ConnectionID {
    let connection = loop.open()
    var identity = identity(user, chats: chats)
    identity.tokenID = token
    identity.issuedAtMilliseconds = 100
    identity.expiresAtMilliseconds = loop.clock.wall.milliseconds + 3_600_000
    loop.turn {
      loop.hub.connect(
        loop.hub.session(of: connection)!, identity, ConnectRequest(subscriptions: topics, positions: presents))
    }
    if let answers { try answer(loop, answers) }
    return connection
  }

  /// Answers the attach that was sent last, topic by topic.
  private func answer(_ loop: TestLoop, _ answers: ([Attach.Wanted]) -> [Attached.Answer]) throws {
    let attach = try #require(try loop.port.take(Attach.self).last)
    loop.scheduler {
      $0.frame(Attached(answers: answers(attach.message.topics)), correlation: attach.correlation)
    }
  }

  /// Everybody is a member since that offset, and their device stopped there.
  private func members(since: UInt64 = 1, at offset: UInt64) -> ([Attach.Wanted]) -> [Attached.Answer] {
    { topics in topics.map { .granted(self.position(offset), since: $0.isGranted ? 0 : since) } }
  }

  private func heads(_ loop: TestLoop, _ offset: UInt64) throws {
    let handles = try loop.port.take(Watch.self).flatMap(\.message.entries).map(\.handle)
    loop.scheduler {
      $0.frame(Watched(heads: handles.map { Head(handle: $0, position: position(offset), floor: 0) }))
    }
  }

  private func step(_ loop: TestLoop, _ at: UInt64, _ changes: AccessChanged.Change...) {
    // The process' table is the link's to keep.
    loop.hub.policy.access.revocations.apply(changes)
    loop.mail(.access(AccessChanged(position: at, changes: changes)))
    loop.turn()
  }

  private func user(_ name: String, before: Int64) -> AccessChanged.Change {
    .revoked(Revocation(.user(name), issuedBeforeMilliseconds: before, untilMilliseconds: .max))
  }

  // MARK: - Getting in

  @Test func asksForAMembershipAndTellsWhatIsDenied() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["user:ann", "chat:c", "chat:mine", "chat:other"], chats: ["mine"])
    let attach = try #require(try loop.port.take(Attach.self).last)
    #expect(attach.message.token == TokenName(user: "ann", issuedAtMilliseconds: 100))
    #expect(
      Set(attach.message.topics) == [
        .init(Topic("user:ann")!, isGranted: true), .init(chat, isGranted: false),
        .init(Topic("chat:mine")!, isGranted: true), .init(Topic("chat:other")!, isGranted: false),
      ])
    loop.scheduler {
      $0.frame(
        Attached(
          answers: attach.message.topics.map {
            $0.topic.name == "chat:other" ? .denied(.permissionDenied) : .granted(position(0), since: 0)
          }), correlation: attach.correlation)
    }
    let ready = try #require(loop.take(ann).first)
    #expect(
      ready.contains(
        #""subscriptions":["user:ann","chat:c","chat:mine"],"denied":[{"topic":"chat:other","code":"PERMISSION_DENIED"}]"#
      ))
    #expect(try loop.port.take(Unwatch.self).flatMap(\.message.handles).count == 1)
  }

  @Test func refusesWhoIsAMemberOfNothingAskedFor() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["chat:c"]) { $0.map { _ in .denied(.permissionDenied) } }
    #expect(loop.closes[ann.slot] == CloseCode.permissionDenied.rawValue)
    #expect(loop.take(ann).first?.contains("none of the topics asked for is allowed: chat:c") == true)
  }

  /// Without positions the device's own cursor says what it missed.
  @Test func tellsTheDeviceWhatWasHiddenFromIt() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["chat:c"], answers: members(since: 7, at: 3))
    try heads(loop, 8)
    #expect(loop.take(ann).last == #"{"gap":{"topic":"chat:c","from":4,"to":6,"reason":"membership"}}"#)
    try loop.answerRead(after: 6, upTo: 8, [(7, "g"), (8, "h")])
    #expect(loop.take(ann).events == ["7:g", "8:h"])
  }

  @Test func startsNoEarlierThanTheMembership() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(
      loop, "ann", ["chat:c"], presents: [chat: position(2)], answers: members(since: 6, at: 5))
    try heads(loop, 8)
    let frames = loop.take(ann)
    #expect(frames.last == #"{"gap":{"topic":"chat:c","from":3,"to":5,"reason":"membership"}}"#)
    try loop.answerRead(after: 5, upTo: 8, [(6, "f"), (7, "g"), (8, "h")])
    #expect(loop.take(ann).events == ["6:f", "7:g", "8:h"])
  }

  @Test func aPositionWithinTheMembershipCounts() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(
      loop, "ann", ["chat:c"], presents: [chat: position(7)], answers: members(since: 6, at: 5))
    try heads(loop, 8)
    #expect(loop.take(ann).map(\.kindOfFrame) == ["ready"])
    try loop.answerRead(after: 7, upTo: 8, [(8, "h")])
  }

  // MARK: - Losing a membership

  @Test func endsTheSubscriptionsOfARemovedMember() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["user:ann", "chat:c"], answers: members(at: 0))
    let bob = try connect(loop, "bob", ["chat:c"], answers: members(at: 0))
    try heads(loop, 0)
    _ = (loop.take(ann), loop.take(bob))
    step(loop, 7, .removed(chat, users: ["ann", "zoe"]))
    #expect(
      loop.take(ann)
        == [#"{"unsubscribed":{"topic":"chat:c","code":"PERMISSION_DENIED","message":"you are no member of chat:c"}}"#])
    #expect(loop.closes.isEmpty && loop.take(bob).isEmpty)
    #expect(loop.port.applied.map(\.position) == [7] && loop.port.applied.map(\.link) == [1])
    // The chat is the second topic that was watched here.
    loop.scheduler {
      Deliver.write(record: record("later"), targets: [.init(handle: 1 << 24 | 1, offset: 1)], into: &$0)
    }
    #expect(loop.take(ann).isEmpty && loop.take(bob).events == ["1:later"])
  }

  @Test func aTokenThatNamesTheChatStands() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["chat:c"], chats: ["c"], answers: members(at: 0))
    try heads(loop, 0)
    _ = loop.take(ann)
    step(loop, 1, .removed(chat, users: ["ann"]))
    #expect(loop.take(ann).isEmpty)
  }

  /// What was delivered before the step on the link is still theirs.
  @Test func writesWhatCameBeforeTheRemoval() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["chat:c"], answers: members(at: 0))
    try heads(loop, 0)
    _ = loop.take(ann)
    var writer = WireWriter()
    Deliver.write(record: record("before"), targets: [.init(handle: loop.handle, offset: 1)], into: &writer)
    loop.mail(.scheduler(.init(bytes: writer.bytes)))
    step(loop, 1, .removed(chat, users: ["ann"]))
    let frames = loop.take(ann)
    #expect(frames.events == ["1:before"] && frames.count == 2)
  }

  @Test func aRemovalOvertakesASessionThatAttaches() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["user:ann", "chat:c"])
    step(loop, 1, .removed(chat, users: ["ann"]))
    try answer(loop, members(at: 0))
    let ready = try #require(loop.take(ann).first)
    #expect(ready.contains(#""subscriptions":["user:ann"],"denied":[{"topic":"chat:c","code":"PERMISSION_DENIED"}]"#))
  }

  // MARK: - A new link

  @Test func asksForEveryMembershipAnewAndShowsNothingBefore() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["user:ann", "chat:c", "chat:d"], answers: members(at: 4))
    try heads(loop, 4)
    _ = loop.take(ann)
    loop.linkDown()
    loop.linkUp()
    // Of the chats in the order of the frame: one is lost, in the other the membership began anew meanwhile.
    try answer(loop) { topics in
      topics.map {
        switch $0.topic.name {
        case "chat:c": .denied(.permissionDenied)
        case "chat:d": .granted(self.position(6), since: 7)
        default: .granted(self.position(4), since: 0)
        }
      }
    }
    #expect(
      loop.take(ann) == [
        #"{"gap":{"topic":"chat:d","from":5,"to":6,"reason":"membership"}}"#,
        #"{"unsubscribed":{"topic":"chat:c","code":"PERMISSION_DENIED","message":"you are no member of chat:c"}}"#,
      ])
    // Inbox, then chat:d: the handles are those of the first link, in the order they were watched.
    loop.scheduler {
      $0.frame(
        Watched(heads: [
          Head(handle: 1 << 24, position: position(4), floor: 0),
          Head(handle: 1 << 24 | 2, position: position(8), floor: 0),
        ]))
    }
    try loop.answerRead(after: 6, upTo: 8, [(7, "g"), (8, "h")])
    #expect(loop.take(ann).events == ["7:g", "8:h"])
  }

  @Test func cutsWhoWasRevokedWhileThereWasNoLink() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["user:ann"], answers: members(at: 0))
    let bob = try connect(loop, "bob", ["user:bob"], answers: members(at: 0))
    loop.linkDown()
    _ = try loop.port.take(Attach.self)
    loop.hub.policy.access.revocations.begin(
      RevocationTable([Revocation(.user("ann"), issuedBeforeMilliseconds: 101, untilMilliseconds: .max)]))
    loop.linkUp()
    #expect(loop.closes == [ann.slot: CloseCode.revoked.rawValue])
    #expect(try loop.port.take(Attach.self).map(\.message.token.user) == ["bob"])
    _ = bob
  }

  // MARK: - Tokens

  @Test func cutsEveryConnectionOfARevokedUser() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let phone = try connect(loop, "ann", ["user:ann"], answers: members(at: 0))
    let tablet = try connect(loop, "ann", ["user:ann"])
    let bob = try connect(loop, "bob", ["user:bob"], answers: members(at: 0))
    step(loop, 1, user("ann", before: 100))
    #expect(loop.closes.isEmpty, "issued just then is not before")
    step(loop, 2, user("ann", before: 101))
    #expect(
      loop.closes == [phone.slot: CloseCode.revoked.rawValue, tablet.slot: CloseCode.revoked.rawValue])
    #expect(
      loop.take(tablet)
        == [#"{"error":{"status":"UNAUTHENTICATED","message":"the token was revoked: sign in again"}}"#])
    #expect(loop.port.applied.map(\.position) == [1, 2])
    _ = bob
  }

  @Test func cutsOneTokenAndEverybody() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let phone = try connect(loop, "ann", ["user:ann"], token: "t1", answers: members(at: 0))
    let tablet = try connect(loop, "ann", ["user:ann"], token: "t2", answers: members(at: 0))
    step(loop, 1, .revoked(.token("t2", untilMilliseconds: .max)))
    #expect(Set(loop.closes.keys) == [tablet.slot])
    step(
      loop, 2, .revoked(Revocation(.everybody, issuedBeforeMilliseconds: 101, untilMilliseconds: .max)))
    #expect(Set(loop.closes.keys) == [tablet.slot, phone.slot])
  }

  /// However far each has come, and whatever token it had before.
  @Test func cutsEveryConnectionOfATokenAndNoOther() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let phone = try connect(loop, "ann", ["user:ann"], token: "t1", answers: members(at: 0))
    let tablet = try connect(loop, "ann", ["user:ann"], token: "t1")
    let watch = try connect(loop, "ann", ["user:ann"], token: "t2")
    let bare = try connect(loop, "ann", ["user:ann"])
    let renewed = try connect(loop, "bob", ["user:bob"], token: "t1")
    let session = try #require(loop.hub.session(of: renewed))
    var identity = try #require(session.identity)
    identity.tokenID = "t3"
    session.identify(identity)
    loop.hub.noteToken(of: session)
    step(loop, 1, .revoked(.token("t1", untilMilliseconds: .max)))
    #expect(Set(loop.closes.keys) == [phone.slot, tablet.slot])
    // Their places are others' now.
    loop.hangUp(phone)
    loop.hangUp(tablet)
    let late = try connect(loop, "zoe", ["user:zoe"], token: "t4")
    step(loop, 2, .revoked(.token("t1", untilMilliseconds: .max)), .revoked(.token("t3", untilMilliseconds: .max)))
    #expect(loop.hub.session(of: late)?.stage == .attaching && loop.closes[renewed.slot] != nil)
    #expect([watch, bare].allSatisfy { loop.closes[$0.slot] == nil })
  }

  @Test func letsNobodyInWithARevokedToken() throws {
    let loop = try TestLoop()
    loop.linkUp()
    step(loop, 1, user("ann", before: 101))
    let ann = try connect(loop, "ann", ["user:ann"])
    #expect(loop.closes[ann.slot] == CloseCode.revoked.rawValue)
    #expect(try loop.port.take(Attach.self).isEmpty)
  }

  /// The scheduler knew before this gateway did.
  @Test func tellsARevokedTokenFromABadOne() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["user:ann"])
    let attach = try #require(try loop.port.take(Attach.self).last)
    step(loop, 1, user("ann", before: 101))
    loop.scheduler { $0.frame(Failed(.unauthenticated, "revoked"), correlation: attach.correlation) }
    #expect(loop.closes[ann.slot] == CloseCode.revoked.rawValue)
  }

  // MARK: - What comes from elsewhere

  private func type(_ loop: TestLoop, _ sequence: UInt64) {
    loop.presence {
      $0.frame(
        TypingChanged(
          user: "zoe", chat: "c", device: "phone", isTyping: true, sequence: sequence, expiresMilliseconds: 5000))
    }
  }

  private func typed(_ loop: TestLoop, _ connections: ConnectionID...) -> [Int] {
    connections.map { loop.take($0).filter { $0.contains("typing_indicator") }.count }
  }

  @Test func showsWhoTypesToNobodyWhoseMembershipIsToBeAskedAnew() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["chat:c"], answers: members(at: 0))
    let bob = try connect(loop, "bob", ["chat:c"], chats: ["c"], answers: members(at: 0))
    try heads(loop, 0)
    type(loop, 1)
    #expect(typed(loop, ann, bob) == [1, 1])
    loop.linkDown()
    type(loop, 2)
    #expect(typed(loop, ann, bob) == [0, 1], "bob's token says it")
    loop.linkUp()
    let attaches = try loop.port.take(Attach.self)
    type(loop, 3)
    #expect(typed(loop, ann, bob) == [0, 1])
    for attach in attaches {
      loop.scheduler {
        $0.frame(Attached(answers: members(at: 0)(attach.message.topics)), correlation: attach.correlation)
      }
    }
    type(loop, 4)
    #expect(typed(loop, ann, bob) == [1, 1])
    loop.hub.policy.access.revocations.stayCurrent(until: MonotonicInstant(nanoseconds: 0))
    type(loop, 5)
    #expect(typed(loop, ann, bob) == [0, 0], "nobody knows which tokens stand")
  }

  @Test func whoAsksForAChatIsInItOnceTheSchedulerSaysSo() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let bob = try connect(loop, "bob", ["chat:c"], chats: ["c"], answers: members(at: 0))
    let ann = try connect(loop, "ann", ["user:ann"], answers: members(at: 0))
    try heads(loop, 0)
    _ = (loop.take(ann), loop.take(bob))
    loop.say(ann, #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["chat:c"]}}"#)
    let cursors = try #require(try loop.port.take(Cursors.self).first)
    let session = try #require(loop.hub.session(of: ann))
    #expect(loop.hub.admittedTopics(of: session).map(\.name) == ["user:ann"])
    let record = EventFields(
      type: .readReceipt, timestampMilliseconds: 5, acceptedMicroseconds: 5000, eventID: "read_1",
      sourceUserID: "bob", chatID: "c", messageID: "m", payload: Array("{}".utf8)
    ).record()
    let handle = try #require(loop.hub.find(chat)).handle
    loop.scheduler { Latest.write(version: 1, record: record, targets: [handle], into: &$0) }
    #expect(loop.take(ann).isEmpty && loop.take(bob).count == 1)
    loop.scheduler { $0.frame(Attached(answers: [.granted(position(0), since: 1)]), correlation: cursors.correlation) }
    #expect(loop.hub.admittedTopics(of: session).map(\.name) == ["user:ann", "chat:c"])
    _ = loop.take(ann)
    loop.scheduler { Latest.write(version: 2, record: record, targets: [handle], into: &$0) }
    #expect(loop.take(ann).count == 1)
  }

  /// The second call must not ride on the first one's subscription, of which nobody has decided.
  @Test func aSecondCallWaitsForTheDecisionToo() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["user:ann"], answers: members(at: 0))
    try heads(loop, 0)
    _ = loop.take(ann)
    let call = #""call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["chat:c"]}}"#
    loop.turn {
      loop.hear(ann, #"{"id":1,"# + call)
      loop.hear(ann, #"{"id":2,"# + call)
    }
    let cursors = try loop.port.take(Cursors.self)
    #expect(cursors.count == 2 && loop.take(ann).isEmpty && loop.port.requests.isEmpty)
    for asked in cursors {
      loop.scheduler { $0.frame(Attached(answers: [.denied(.permissionDenied)]), correlation: asked.correlation) }
    }
    let answers = loop.take(ann)
    #expect(answers.count == 2 && answers.allSatisfy { $0.contains("PERMISSION_DENIED") }, "\(answers)")
    #expect(loop.port.requests.isEmpty, "nothing is asked of a chat's read state")
  }

  @Test func tellsNothingOfTheReadStateOfAChatItDenies() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["user:ann", "chat:c", "chat:d"])
    let query = try #require(try loop.port.take(QueryReads.self).last)
    loop.scheduler {
      $0.frame(
        ReadState(
          unread: [.init(chat: "c", count: 3), .init(chat: "d", count: 4)],
          receipts: [.init(chat: "c", user: "bob", messageID: "m", readMilliseconds: 9, version: 2)]),
        correlation: query.correlation)
    }
    try answer(loop) { topics in
      topics.map { $0.topic == chat ? .denied(.permissionDenied) : .granted(position(0), since: 0) }
    }
    #expect(loop.take(ann).first?.contains(#""unread":{"d":4},"receipts":[]"#) == true)
  }

  // MARK: - Access that is not known

  @Test func answersNoCallWhileAccessIsNotKnown() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(0))
    #expect(loop.hub.accessIsCurrent)
    loop.hub.policy.access.revocations.stayCurrent(until: MonotonicInstant(nanoseconds: 0))
    #expect(!loop.hub.accessIsCurrent)
    loop.say(ann, #"{"id":1,"call":"getPresenceV1","data":{"userIds":["bob"]}}"#)
    #expect(loop.take(ann).first?.hasPrefix(#"{"id":1,"error":{"status":"UNAVAILABLE""#) == true)
    #expect(loop.port.requests.isEmpty)
  }

  // MARK: - A new token

  @Test func aNewTokenMayLoseAndGainWhatOnlyAMembershipAllows() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try connect(loop, "ann", ["user:ann", "chat:c", "chat:d"], chats: ["c", "d"], answers: members(at: 0))
    try heads(loop, 0)
    _ = loop.take(ann)
    let session = try #require(loop.hub.session(of: ann))
    var fresh = identity("ann", chats: ["d"])
    fresh.expiresAtMilliseconds = .max
    let last = try #require(session.identity)
    loop.turn { loop.hub.judgeAnew(session, fresh, after: last) }
    let cursors = try #require(try loop.port.take(Cursors.self).first)
    #expect(cursors.message.user == "ann" && cursors.message.topics == [.init(chat, isGranted: false)])
    loop.scheduler { $0.frame(Attached(answers: [.denied(.permissionDenied)]), correlation: cursors.correlation) }
    #expect(loop.take(ann).map { $0.contains(#"{"unsubscribed":{"topic":"chat:c""#) } == [true])
    #expect(loop.closes.isEmpty)
  }
}
