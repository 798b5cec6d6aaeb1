import AvaloCore
import AvaloSystem
import AvaloWire
import Testing

@testable import AvaloGateway
@testable import AvaloReactor

/// The rules of delivery as one loop keeps them; the scheduler and the sockets are played by the test.
@Suite struct HubTests {
  let epoch = Epoch(generation: 1, nonce: 7)

  // MARK: - Connecting

  @Test func becomesLiveAtTheHeadAfterReady() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.connect("ann")
    #expect(loop.take(ann).map(\.kindOfFrame) == ["ready"])
    try loop.watched(position(4))
    let frames = loop.take(ann)
    #expect(frames == [#"{"live":{"topic":"user:ann","epoch":"\#(epoch)","offset":4}}"#])
  }

  @Test func watchesBeforeItReads() throws {
    let loop = try TestLoop()
    loop.linkUp()
    _ = try loop.connect("ann", cursor: position(2), head: nil)
    #expect(try loop.port.take(Watch.self).count == 1)
    #expect(try loop.port.take(Read.self).isEmpty)
  }

  @Test func waitsForALinkRatherThanFailing() throws {
    let loop = try TestLoop()
    let connection = loop.open()
    loop.turn { loop.hub.connect(loop.hub.session(of: connection)!, identity("ann"), ConnectRequest()) }
    #expect(try loop.port.take(Attach.self).isEmpty)
    loop.linkUp()
    #expect(try loop.port.take(Attach.self).map(\.message.token.user) == ["ann"])
  }

  @Test func closesWhenNobodySaysWhoItIs() throws {
    let loop = try TestLoop()
    let connection = loop.open()
    loop.advance(loop.hub.policy.limits.connectSecondsMax + 1)
    #expect(loop.closes[connection.slot] == CloseCode.connectTimeout.rawValue)
  }

  @Test func whoNamesNoDeviceIsNone() throws {
    let loop = try TestLoop()
    loop.linkUp()
    for device in [nil, "phone"] {
      let connection = loop.open()
      let request = ConnectRequest(deviceID: device)
      loop.turn { loop.hub.connect(loop.hub.session(of: connection)!, identity("ann"), request) }
      #expect(try loop.port.take(Attach.self).map(\.message.device) == [device ?? ""])
    }
  }

  @Test func refusesTopicsOfOthers() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let connection = loop.open()
    loop.turn {
      loop.hub.connect(
        loop.hub.session(of: connection)!, identity("ann"), ConnectRequest(subscriptions: ["user:bob"]))
    }
    #expect(loop.closes[connection.slot] == CloseCode.permissionDenied.rawValue)
    #expect(try loop.port.take(Attach.self).isEmpty)
  }

  @Test func cutsAConnectionWhoseTokenEnds() throws {
    let loop = try TestLoop()
    loop.linkUp()
    loop.hub.policy.limits.leewayMilliseconds = 3_000
    let ann = try loop.connect("ann", lifetime: .seconds(5))
    loop.advance(7)
    #expect(loop.closes[ann.slot] == nil)
    loop.advance(2)
    #expect(loop.closes[ann.slot] == CloseCode.tokenExpired.rawValue)
  }

  /// A browser answers pings without its page's doing: it is there.
  @Test func tellsPresenceOfClientsThatOnlyPong() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.connect("ann")
    let number = try #require(loop.hub.session(of: ann)?.number)
    for _ in 0..<(2 * HubLimits.seenReportSeconds / 20) {
      loop.advance(20)
      loop.writer.slots[Int(ann.slot)].lastReceived = loop.writer.nowSeconds
    }
    let seen = try loop.port.presence.filter { $0.kind == .sessionsSeen }.flatMap { frame in
      try frame.body.withUnsafeBytes { try SessionsSeen(body: $0).entries }
    }
    #expect(seen == Array(repeating: SessionsSeen.Entry(session: number, active: false), count: 2))
  }

  /// A client may speak as soon as it has said who it is.
  @Test func refusesACallBeforeReadyAndGoesOn() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = loop.open()
    loop.turn { loop.hub.connect(loop.hub.session(of: ann)!, identity("ann"), ConnectRequest()) }
    loop.say(ann, #"{"id":1,"call":"getPresenceV1","data":{"userIds":["bob"]}}"#)
    loop.say(ann, #"{"ack":{"topic":"user:ann","epoch":"\#(epoch)","offset":1}}"#)
    loop.say(ann, #"{"ping":{}}"#)
    let frames = loop.take(ann)
    #expect(frames.count == 2 && frames[0].hasPrefix(#"{"id":1,"error":{"status":"FAILED_PRECONDITION""#))
    #expect(frames.last?.kindOfFrame == "pong" && loop.closes[ann.slot] == nil)
  }

  @Test func warnsOnceBeforeATokenEndsAndTakesANewOne() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.connect("ann", lifetime: .seconds(63))
    _ = loop.take(ann)
    loop.advance(2)
    #expect(loop.take(ann).isEmpty)
    loop.advance(3)
    let expires = loop.clock.wall.milliseconds + 58_000
    #expect(loop.take(ann) == [#"{"expiring":{"expiresAt":\#(expires)}}"#])
    let session = try #require(loop.hub.session(of: ann))
    var renewed = try #require(session.identity)
    renewed.expiresAtMilliseconds += 30_000
    session.identify(renewed)
    loop.advance(1)
    #expect(loop.take(ann).isEmpty)
  }

  // MARK: - Live

  @Test func writesEachEventOnceInOrder() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(0))
    loop.deliver(1, "a")
    loop.deliver(2, "b")
    loop.deliver(2, "b")
    loop.deliver(1, "a")
    #expect(loop.take(ann).events == ["1:a", "2:b"])
  }

  @Test func ignoresDeliveriesBeforeTheAnswerToTheWatch() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.connect("ann")
    _ = loop.take(ann)
    loop.deliver(1, "early")
    try loop.watched(position(1))
    loop.deliver(2, "b")
    #expect(loop.take(ann).events == ["2:b"])
  }

  @Test func readsWhatALostDeliveryLeftOut() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(3))
    loop.deliver(6, "f")
    #expect(loop.take(ann).events == [])
    try loop.answerRead(after: 3, upTo: 6, [(4, "d"), (5, "e"), (6, "f")])
    let frames = loop.take(ann)
    #expect(frames.events == ["4:d", "5:e", "6:f"])
    #expect(frames.last?.kindOfFrame == "live")
    loop.deliver(7, "g")
    #expect(loop.take(ann).events == ["7:g"])
  }

  @Test func treatsLaggedAsAJump() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(3))
    loop.scheduler { $0.frame(Lagged(heads: [Head(handle: loop.handle, position: position(5), floor: 0)])) }
    try loop.answerRead(after: 3, upTo: 5, [(4, "d"), (5, "e")])
    #expect(loop.take(ann).events == ["4:d", "5:e"])
  }

  @Test func tellsAGapForAnEventThatExpiredOnTheWay() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(0))
    loop.deliver(1, "late", expires: loop.clock.wall.milliseconds - 1)
    #expect(loop.take(ann) == [#"{"gap":{"topic":"user:ann","from":1,"to":1,"reason":"expired"}}"#])
  }

  @Test func sharesOneFrameAmongSubscribers() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let connections = try (0..<5).map { _ in try loop.connect("ann") }
    try loop.watched(position(0))
    for connection in connections { _ = loop.take(connection) }
    loop.deliver(1, "a")
    loop.hangUp(connections[2])
    loop.deliver(2, "b")
    for (index, connection) in connections.enumerated() where index != 2 {
      #expect(loop.take(connection).events == ["1:a", "2:b"])
    }
  }

  // MARK: - Behind

  @Test func replaysPageAfterPageUntilItIsLive() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.connect("ann", cursor: position(1), head: position(5))
    _ = loop.take(ann)
    try loop.answerRead(after: 1, upTo: 5, through: 3, [(2, "b"), (3, "c")])
    #expect(loop.take(ann).events == ["2:b", "3:c"])
    loop.deliver(6, "f")
    try loop.answerRead(after: 3, upTo: 5, [(4, "d"), (5, "e")])
    #expect(loop.take(ann).events == ["4:d", "5:e"])
    try loop.answerRead(after: 5, upTo: 6, [(6, "f")])
    let frames = loop.take(ann)
    #expect(frames.events == ["6:f"])
    #expect(frames.last?.kindOfFrame == "live")
  }

  @Test func tellsWhatIsGoneOnce() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.connect("ann", cursor: position(0), head: position(9), floor: 3)
    _ = loop.take(ann)
    try loop.answerRead(after: 0, upTo: 9, floor: 3, [(6, "f"), (7, "g")])
    let frames = loop.take(ann)
    #expect(frames[0] == #"{"gap":{"topic":"user:ann","from":1,"to":3,"reason":"evicted"}}"#)
    #expect(
      frames[1].contains(#""offset":6"#) && frames[1].contains(#""skipped":{"from":4,"to":5,"reason":"expired"}"#))
    #expect(frames[2].contains(#""offset":7"#) && !frames[2].contains("skipped"))
    #expect(frames[3] == #"{"gap":{"topic":"user:ann","from":8,"to":9,"reason":"expired"}}"#)
    #expect(frames[4].kindOfFrame == "live")
  }

  @Test func sharesAReadAmongThoseAtOnePlace() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let first = try loop.connect("ann", cursor: position(1), head: position(3))
    let second = try loop.connect("ann", cursor: position(1), head: nil)
    for connection in [first, second] { _ = loop.take(connection) }
    try loop.answerRead(after: 1, upTo: 3, [(2, "b"), (3, "c")])
    for connection in [first, second] { #expect(loop.take(connection).events == ["2:b", "3:c"]) }
  }

  @Test func writesAnUrgentEventAheadOfAReplayAndNotAgain() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.connect("ann", cursor: position(0), head: position(2))
    _ = loop.take(ann)
    loop.deliver(3, "fire", priority: .urgent)
    let early = loop.take(ann)
    #expect(early.events == ["3:fire"])
    #expect(early[0].contains(#""ahead":true"#))
    try loop.answerRead(after: 0, upTo: 2, [(1, "a"), (2, "b")])
    try loop.answerRead(after: 2, upTo: 3, [(3, "fire")])
    let frames = loop.take(ann)
    #expect(frames.events == ["1:a", "2:b"])
    #expect(frames.last?.kindOfFrame == "live")
  }

  /// What a session remembers of them is bounded: one more waits its turn like any other event.
  @Test func anUrgentEventBeyondTheBoundWaitsItsTurn() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.connect("ann", cursor: position(0), head: position(1))
    _ = loop.take(ann)
    let last = UInt64(HubLimits.aheadMax + 2)
    for offset in 2...last { loop.deliver(offset, "fire", priority: .urgent) }
    #expect(loop.take(ann).events.count == HubLimits.aheadMax)
    try loop.answerRead(after: 0, upTo: 1, [(1, "a")])
    try loop.answerRead(after: 1, upTo: last, (2...last).map { ($0, "fire") })
    #expect(loop.take(ann).events == ["1:a", "\(last):fire"])
  }

  @Test func parksASlowConsumerAndGoesOnFromTheLog() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let slow = try loop.connect("ann", cursor: position(0), head: position(0))
    let quick = try loop.connect("ann", cursor: position(0), head: nil)
    for connection in [slow, quick] { _ = loop.take(connection) }
    loop.stuck.insert(slow.slot)
    let big = String(repeating: "x", count: 60_000)
    for offset in 1...8 { loop.deliver(UInt64(offset), big) }
    #expect(loop.take(quick).events.count == 8)
    #expect(loop.writer.backlog(slow) < loop.hub.policy.limits.backlogBytesMax + 130_000)
    loop.unstick(slow)
    let written = UInt64(loop.take(slow).events.count)
    #expect(written < 8)
    try loop.answerRead(after: written, upTo: 8, (written + 1...8).map { ($0, big) })
    let frames = loop.take(slow)
    #expect(frames.events.count == 8 - Int(written))
    #expect(frames.last?.kindOfFrame == "live")
  }

  /// A turn may bring more than an outbox holds to clients who read all the time.
  @Test func parksEverybodyInABurstAndClosesNobody() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(0))
    let big = String(repeating: "x", count: 60_000)
    loop.scheduler {
      for offset in 1...50 {
        Deliver.write(
          record: record(big), targets: [.init(handle: loop.handle, offset: UInt64(offset))], into: &$0)
      }
    }
    #expect(loop.take(ann).events.isEmpty && loop.closes[ann.slot] == nil)
    for page in stride(from: UInt64(0), to: 50, by: 10) {
      // Each page is more than a backlog may be: the next is read when the kernel has taken it.
      loop.turn()
      try loop.answerRead(after: page, upTo: 50, through: page + 10, (1...10).map { (page + $0, big) })
    }
    let frames = loop.take(ann)
    #expect(frames.events.count == 50)
    #expect(frames.last?.kindOfFrame == "live")
  }

  @Test func tellsNoGapForAnUrgentEventThatExpiredAfterItWasWritten() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.connect("ann", cursor: position(0), head: position(1))
    loop.deliver(2, "fire", priority: .urgent, expires: loop.clock.wall.milliseconds + 1000)
    #expect(loop.take(ann).events == ["2:fire"])
    loop.advance(2)
    try loop.answerRead(after: 0, upTo: 1, [(1, "a")])
    let read = try #require(try loop.port.take(Read.self).first)
    loop.scheduler {
      let expired = record("fire", priority: .urgent, expires: loop.clock.wall.milliseconds - 1)
      ReadResult.write(
        epoch: epoch, floor: 0, through: 2, rows: [(offset: 2, record: expired)], correlation: read.correlation,
        into: &$0)
    }
    #expect(loop.take(ann).map(\.kindOfFrame) == ["event", "live"])
  }

  @Test func forgetsTheReadOfASessionThatLeft() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let gone = try loop.connect("ann", cursor: position(0), head: position(2))
    loop.hangUp(gone)
    let read = try #require(try loop.port.take(Read.self).first)
    let bob = try loop.connect("bob", cursor: position(0), head: position(0))
    _ = loop.take(bob)
    loop.scheduler {
      ReadResult.write(
        epoch: epoch, floor: 0, through: 2, rows: [(1, record("a")), (2, record("b"))], correlation: read.correlation,
        into: &$0)
    }
    #expect(loop.take(bob).isEmpty)
  }

  // MARK: - Positions and epochs

  @Test func prefersThePositionAClientPresents() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.connect("ann", presents: position(4), cursor: position(1), head: position(5))
    _ = loop.take(ann)
    try loop.answerRead(after: 4, upTo: 5, [(5, "e")])
    #expect(loop.take(ann).events == ["5:e"])
  }

  @Test func answersAForeignEpochWithAGapAndTheDevicesCursor() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let foreign = Position(epoch: Epoch(generation: 9, nonce: 9), offset: 40)
    let ann = try loop.connect("ann", presents: foreign, cursor: position(1), head: position(2))
    #expect(loop.take(ann).contains(#"{"gap":{"topic":"user:ann","epoch":"\#(epoch)","reason":"epoch"}}"#))
    try loop.answerRead(after: 1, upTo: 2, [(2, "b")])
    #expect(loop.take(ann).events == ["2:b"])
  }

  @Test func startsAgainFromTheCursorsWhenTheLogWasRewound() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(9))
    loop.linkDown()
    loop.linkUp()
    let next = Epoch(generation: 2, nonce: 3)
    loop.scheduler {
      $0.frame(Watched(heads: [Head(handle: loop.handle, position: Position(epoch: next, offset: 6), floor: 0)]))
    }
    #expect(loop.take(ann) == [#"{"gap":{"topic":"user:ann","epoch":"\#(next)","reason":"epoch"}}"#])
    let cursors = try #require(try loop.port.take(Cursors.self).first)
    loop.scheduler {
      $0.frame(Attached(cursors: [Position(epoch: next, offset: 6)]), correlation: cursors.correlation)
    }
    #expect(loop.take(ann).map(\.kindOfFrame) == ["live"])
  }

  // MARK: - The link

  @Test func losesNothingOverALostLink() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(2))
    loop.linkDown()
    loop.deliver(3, "of the old link, never ours")
    loop.linkUp()
    #expect(try loop.port.take(Attach.self).count == 1)
    let watch = try #require(try loop.port.take(Watch.self).last?.message.entries.first)
    #expect(watch.position == position(2))
    try loop.watched(position(4))
    try loop.answerRead(after: 2, upTo: 4, [(3, "c"), (4, "d")])
    #expect(loop.take(ann).events == ["3:c", "4:d"])
  }

  @Test func givesAHandleBackOnlyAfterTheSchedulersLastWord() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(0))
    loop.hangUp(ann)
    #expect(try loop.port.take(Unwatch.self).map(\.message.handles) == [[loop.handle]])
    _ = try loop.connect("bob")
    let second = try #require(try loop.port.take(Watch.self).last?.message.entries.first)
    #expect(second.handle != loop.handle)
    loop.scheduler { $0.frame(Unwatched(handles: [loop.handle])) }
    _ = try loop.connect("cleo")
    let third = try #require(try loop.port.take(Watch.self).last?.message.entries.first)
    #expect(third.handle == loop.handle)
  }

  // MARK: - Frames

  @Test func answersPingsAndWrongFramesByName() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(0))
    loop.say(ann, #"{"ping":{},"id":3}"#)
    #expect(loop.take(ann)[0].hasPrefix(#"{"id":3,"pong":{"serverTime":"#))
    loop.say(ann, "[1]")
    loop.say(ann, "{")
    loop.say(ann, #"{"hello":1}"#)
    let errors = loop.take(ann)
    #expect(errors.count == 3 && errors.allSatisfy { $0.contains("INVALID_ARGUMENT") })
    #expect(loop.closes[ann.slot] == nil)
  }

  @Test func endsAClientThatFloodsIt() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(0))
    for _ in 0..<HubLimits.callsPerSecondMax { loop.say(ann, #"{"ping":{}}"#) }
    #expect(loop.closes[ann.slot] == nil)
    loop.say(ann, #"{"ping":{}}"#)
    #expect(loop.take(ann).last?.contains(#""retryAfterMs":1000"#) == true)
    #expect(loop.closes[ann.slot] == CloseCode.rateLimited.rawValue)
  }

  @Test func endsAClientThatSendsRubbishOrTokensWithoutEnd() throws {
    for frame in ["rubbish", #"{"connect":{"token":"x.y.z"}}"#] {
      let loop = try TestLoop()
      let ann = try loop.live("ann", at: position(0))
      for _ in 0..<11 { loop.say(ann, frame) }
      #expect(loop.closes[ann.slot] != nil)
    }
  }

  @Test func handsOtherCallsOnAndAnswersThem() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(0))
    loop.say(ann, #"{"id":"x","call":"getPresenceV1","data":{"userIds":["bob"]}}"#)
    let chats = try #require(loop.port.requests.first)
    guard case .ask(let memberships as MembershipsQuery) = chats.request else {
      return #expect(Bool(false), "asked \(chats.request)")
    }
    #expect(memberships.user == "ann")
    loop.mail(.service(id: chats.id, .success(.answered(Memberships(chats: ["c7"])))))
    loop.turn()
    let asked = try #require(loop.port.requests.last)
    guard case .presence(let query as PresenceQuery) = asked.request else {
      return #expect(Bool(false), "asked \(asked.request)")
    }
    #expect(query == PresenceQuery(users: ["bob"], viewer: "ann", chats: ["c7"]))
    let entry = PresenceAnswer.Entry(state: PresenceState(status: .online, platform: .ios, lastSeenMilliseconds: 5))
    loop.mail(.service(id: asked.id, .success(.answered(PresenceAnswer(entries: [entry])))))
    loop.turn()
    let answer = try #require(loop.take(ann).first)
    #expect(answer.hasPrefix(#"{"id":"x","result":{"presence":{"bob":{"status":"online""#))
  }

  // MARK: - Draining

  @Test func sendsConnectionsAwayAtTheDrainsRate() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let connections = try (0..<10).map { try loop.connect("user\($0)") }
    let schedule = DrainSchedule(
      perSecond: 4, until: loop.clock.monotonic.now + .seconds(60), clock: loop.clock.monotonic)
    loop.mail(.drain(schedule))
    loop.turn()
    #expect(loop.closes.count == 4)
    #expect(
      connections.prefix(4).flatMap { loop.take($0) }.filter { $0.hasPrefix(#"{"goaway""#) }
        == [100, 350, 600, 850].map { #"{"goaway":{"retryAfterMs":\#($0)}}"# })
    loop.advance(1)
    #expect(loop.closes.count == 8)
    loop.advance(1)
    #expect(connections.allSatisfy { loop.closes[$0.slot] == CloseCode.goingAway.rawValue })
  }

  /// It would come for nothing: it is let in, and sent on then.
  @Test func letsWhoIsConnectingInBeforeItSendsThemAway() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let schedule = DrainSchedule(
      perSecond: 100, until: loop.clock.monotonic.now + .seconds(60), clock: loop.clock.monotonic)
    let opening = loop.open()
    loop.mail(.drain(schedule))
    loop.turn()
    #expect(loop.closes.isEmpty)
    let late = try loop.connect("late")
    loop.advance(1)
    #expect(loop.closes[late.slot] == CloseCode.goingAway.rawValue)
    #expect(loop.closes[opening.slot] == nil)
  }

  private func position(_ offset: UInt64) -> Position { Position(epoch: epoch, offset: offset) }
}
