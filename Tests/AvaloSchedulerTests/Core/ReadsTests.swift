import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// Markers, unread counts and receipts.
@Suite struct ReadsTests {
  private func message(
    _ bench: CoreBench, _ link: LinkID, _ topic: String, _ id: String, chat: String = "c", from source: String = "bob",
    ttl: UInt32? = nil
  ) -> Command {
    let record = EventFields(
      type: .chatMessage, ttlSeconds: ttl, timestampMilliseconds: 1, acceptedMicroseconds: 1,
      eventID: "\(topic) \(id)", sourceUserID: source, chatID: chat, messageID: id, payload: Array("{}".utf8)
    ).record()
    return .publish(
      link, correlation: 0,
      Publish(owner: "shop", topic: Topic(topic)!, contentHash: CoreBench.hash(topic + id), record: record))
  }

  private func mark(
    _ bench: CoreBench, _ link: LinkID, _ user: String = "ann", upTo message: String = "", participant: Bool = true,
    chat: String = "c", request: String = ""
  ) throws -> Told? {
    let mark = MarkRead(user: user, chat: chat, isParticipant: participant, messageID: message, request: request)
    return try bench.turn(link, .markRead(link, correlation: 5, mark)).first
  }

  private func unread(_ bench: CoreBench, _ chats: [String] = ["c"]) throws -> [String: UInt32] {
    let state = try bench.readState(of: "ann", chats)
    return Dictionary(uniqueKeysWithValues: state.unread.map { ($0.chat, $0.count) })
  }

  private func marked(_ count: UInt32, _ read: Int64) -> Told {
    .markedRead(5, MarkedRead(count: count, readMilliseconds: read))
  }

  /// The answer was lost, and the call is tried again: also when something came meanwhile, which it does not cover.
  @Test(arguments: LogKind.allCases) func aRepeatedRequestIsAnsweredAsItWas(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn([message(bench, link, "user:ann", "m1"), message(bench, link, "user:ann", "m2")])
    #expect(try mark(bench, link, request: "r1") == marked(2, bench.now.wall))
    let first = bench.now.wall
    bench.advance(1000)
    try bench.turn([message(bench, link, "user:ann", "m3")])
    #expect(try mark(bench, link, request: "r1") == marked(2, first))
    #expect(try unread(bench) == ["c": 1])
    // Another one moves on; the earlier name means nothing any more, and marks anew.
    #expect(try mark(bench, link, request: "r2") == marked(1, bench.now.wall))
    #expect(try mark(bench, link, request: "r2") == marked(1, bench.now.wall))
    #expect(try mark(bench, link, request: "r1") == marked(0, bench.now.wall))
    // Names are of one user in one chat.
    try bench.turn([message(bench, link, "user:zoe", "m9")])
    #expect(try mark(bench, link, "zoe", request: "r2") == marked(1, bench.now.wall))
  }

  /// What is counted when the turn is over holds every mark up to then; later ones come by the watch of the same turn.
  @Test(arguments: LogKind.allCases) func countsBehindTheWatchesThatCameWithTheQuestion(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn([message(bench, link, "chat:c", "m1"), message(bench, link, "chat:c", "m2")])
    let query = QueryReads(user: "ann", chats: ["c"])
    try bench.turn(
      link, bench.watch(link, [(1, "chat:c")]), .queryReads(link, correlation: 2, query),
      .markRead(link, correlation: 3, MarkRead(user: "bob", chat: "c", isParticipant: true, messageID: "m1")))
    #expect(bench.queries == [query])
    #expect(try bench.readState(of: "ann", ["c"]).receipts.map(\.user) == ["bob"])
    let told = try bench.turn(
      link, .markRead(link, correlation: 4, MarkRead(user: "zoe", chat: "c", isParticipant: true, messageID: "m2")))
    #expect(told.contains { if case .latest(_, _, [1]) = $0 { true } else { false } })
    #expect(bench.queries.count == 1)
  }

  @Test(arguments: LogKind.allCases) func marksEverythingOnce(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn([
      message(bench, link, "user:ann", "m1"), message(bench, link, "user:ann", "m2"),
      message(bench, link, "user:ann", "x1", chat: "d"), bench.publish(link, "user:ann", id: "n"),
    ])
    #expect(try unread(bench) == ["c": 2, "d": 1])
    #expect(try mark(bench, link) == marked(2, bench.now.wall))
    let read = bench.now.wall
    bench.advance(1000)
    #expect(try mark(bench, link) == marked(0, read), "nothing new, and when that was")
    #expect(try unread(bench) == ["c": 0, "d": 1])
    try bench.turn([message(bench, link, "user:ann", "m3")])
    #expect(try mark(bench, link) == marked(1, bench.now.wall))
    #expect(bench.metrics.marks.value == 2)
  }

  @Test func aMemberIsInTheChatWhateverTheGatewayKnows() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn([message(bench, link, "chat:c", "m1")])
    #expect(try mark(bench, link, participant: false) == .failed(5, .permissionDenied))
    try bench.turn(
      link,
      .access(link, correlation: 1, .changeMembers(ChangeMembers(chat: "c", change: .add, users: ["ann"]))))
    try bench.turn([message(bench, link, "chat:c", "m2")])
    #expect(try mark(bench, link, participant: false) == marked(1, bench.now.wall), "their own since they are in it")
  }

  /// In the inbox and in the chat's own topic, in any order and at any time: one message.
  @Test(arguments: LogKind.allCases) func aMessageCountsOnceWhereverItLies(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn([
      message(bench, link, "user:ann", "m1"), message(bench, link, "chat:c", "m1"),
      message(bench, link, "chat:c", "m2"), message(bench, link, "user:ann", "m2"),
      message(bench, link, "chat:c", "m3"), message(bench, link, "user:bob", "m3"),
    ])
    #expect(try unread(bench) == ["c": 3])
    #expect(try mark(bench, link) == marked(3, bench.now.wall))
    // A copy that comes late was read with the other.
    try bench.turn([message(bench, link, "user:ann", "m3"), message(bench, link, "chat:c", "m4")])
    #expect(try unread(bench) == ["c": 1])
    #expect(try mark(bench, link) == marked(1, bench.now.wall))
  }

  @Test(arguments: LogKind.allCases) func marksUpToAMessage(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn([
      message(bench, link, "user:ann", "m1"), message(bench, link, "user:ann", "m2"),
      message(bench, link, "chat:c", "m1"), message(bench, link, "chat:c", "m2"), message(bench, link, "chat:c", "m3"),
    ])
    #expect(try mark(bench, link, upTo: "m1") == marked(1, bench.now.wall))
    #expect(try unread(bench) == ["c": 2])
    let read = bench.now.wall
    bench.advance(1000)
    // Not back, and not by what nobody knows.
    #expect(try mark(bench, link, upTo: "m1") == marked(0, read))
    #expect(try mark(bench, link, upTo: "m9") == marked(0, read))
    #expect(try mark(bench, link, upTo: "m3") == marked(2, bench.now.wall))
    #expect(try mark(bench, link, upTo: "m2") == marked(0, bench.now.wall))
    #expect(try mark(bench, link, "zoe", upTo: "m9") == marked(0, 0))
  }

  @Test func onesOwnMessagesAndThoseThatAreGoneDoNotCount() throws {
    var settings = SchedulerSettings()
    settings.retention = RetentionRule(eventsMax: 4, bytesMax: 1 << 30, ageSecondsMax: 3600)
    let bench = try CoreBench(.sqlite, settings)
    let link = try bench.link()
    try bench.turn([
      message(bench, link, "chat:c", "m1", from: "ann"), message(bench, link, "chat:c", "m2", ttl: 1),
      message(bench, link, "chat:c", "m3"),
    ])
    #expect(try unread(bench) == ["c": 2])
    bench.advance(1000)
    #expect(try unread(bench) == ["c": 1])
    try bench.turn((4...9).map { message(bench, link, "chat:c", "m\($0)") })
    bench.housekeep()
    #expect(try unread(bench) == ["c": 4])
    #expect(try mark(bench, link) == marked(4, bench.now.wall))
  }

  @Test func onlyWhoIsInTheChatMarksIt() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn([message(bench, link, "chat:c", "m1"), message(bench, link, "user:cem", "m1")])
    #expect(try mark(bench, link, participant: false) == .failed(5, .permissionDenied))
    #expect(try mark(bench, link, participant: false, chat: "none") == .failed(5, .permissionDenied))
    // Who got its messages is in it, whatever their token says.
    #expect(try mark(bench, link, "cem", participant: false) == marked(1, bench.now.wall))
    #expect(try mark(bench, link, chat: "none") == marked(0, bench.now.wall))
  }

  @Test(arguments: LogKind.allCases) func tellsEverybodyInTheChat(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link(incarnation: 1)
    let other = try bench.link(incarnation: 2)
    try bench.turn([
      bench.watch(link, [(1, "chat:c"), (2, "user:ann")]), bench.watch(other, [(7, "chat:c"), (8, "user:bob")]),
      message(bench, link, "chat:c", "m1"),
    ])
    let told = try bench.turn([
      .markRead(link, correlation: 5, MarkRead(user: "ann", chat: "c", isParticipant: true))
    ])
    let payload = #"{"chatId":"c","userId":"ann","messageId":"m1","readAt":\#(bench.now.wall)}"#
    #expect(told[link]?.first == marked(1, bench.now.wall))
    #expect(told[link]?.last == .latest(payload, version: bench.log.lastSequence, [1, 2]))
    #expect(told[other] == [.latest(payload, version: bench.log.lastSequence, [7])])
    // And whoever asks later.
    let state = try bench.readState(of: "bob", ["c"])
    #expect(
      state.receipts == [
        .init(
          chat: "c", user: "ann", messageID: "m1", readMilliseconds: bench.now.wall, version: bench.log.lastSequence)
      ])
  }

  @Test func aFailedCommitMarksNothingAndTellsNobody() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn([bench.watch(link, [(1, "chat:c")]), message(bench, link, "chat:c", "m1")])
    bench.log.failOnce(at: .commit)
    let told = try bench.turn(
      link, .markRead(link, correlation: 5, MarkRead(user: "ann", chat: "c", isParticipant: true)))
    #expect(told == [.failed(5, .unavailable)])
    #expect(try mark(bench, link) == .failed(5, .unavailable))
    bench.advance(SchedulerLimits.retryMilliseconds)
    #expect(try unread(bench) == ["c": 1])
    #expect(try mark(bench, link) == marked(1, bench.now.wall))
  }

  @Test func aRestartForgetsNothing() throws {
    let bench = try CoreBench(.sqlite)
    var link = try bench.link()
    try bench.turn([message(bench, link, "user:ann", "m1"), message(bench, link, "user:ann", "m2")])
    _ = try mark(bench, link, upTo: "m1")
    try bench.crash()
    link = try bench.link()
    #expect(try unread(bench) == ["c": 1])
    #expect(try mark(bench, link) == marked(1, bench.now.wall))
  }

  /// Who was written to in their inbox, and is in the chat neither by the gateway's word nor the log's, learns nothing of how
  /// much is said there.
  @Test(arguments: LogKind.allCases) func aStrangerCountsTheirInboxAlone(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(
      ["m1", "m2", "m3"].map { message(bench, link, "chat:c", $0) } + [message(bench, link, "user:ann", "m3")])
    #expect(try unread(bench, []) == ["c": 1])
    #expect(try mark(bench, link, participant: false) == marked(1, bench.now.wall))
    // A participant counts both, and a message that lies in both once.
    #expect(try unread(bench, ["c"]) == ["c": 0])
    try bench.turn([message(bench, link, "chat:c", "m4"), message(bench, link, "user:ann", "m4")])
    try bench.turn([message(bench, link, "chat:c", "m5")])
    #expect(try unread(bench, []) == ["c": 1])
    #expect(try unread(bench, ["c"]) == ["c": 2])
    // And so does a member, whatever the gateway knows.
    try bench.turn(
      link,
      .access(link, correlation: 1, .changeMembers(ChangeMembers(chat: "c", change: .add, users: ["ann"]))))
    try bench.turn([message(bench, link, "chat:c", "m6")])
    #expect(try unread(bench, []) == ["c": 2])
  }

  /// A link that was too full is told when it has drained: of each user and chat the latest, once.
  @Test func receiptsThatALinkMissedAreSentWhenItHasDrained() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.watch(link, [(1, "chat:c")]))
    try bench.turn([message(bench, link, "chat:c", "m1"), message(bench, link, "chat:c", "m2")])
    bench.wait(in: link, bench.settings.linkBacklogBytesMax + 1)
    for id in ["m1", "m2"] {
      let told = try bench.turn(
        link, .markRead(link, correlation: 5, MarkRead(user: "ann", chat: "c", isParticipant: true, messageID: id)))
      #expect(told.count == 1, "answered, and no more: \(told)")
    }
    bench.wait(in: link, 0)
    let told = try bench.turn(link, .linkDrained(link))
    let receipts = told.compactMap {
      if case .latest(let payload, _, let handles) = $0 { (payload, handles) } else { nil }
    }
    #expect(receipts.count == 1 && receipts.first?.1 == [1])
    #expect(receipts.first?.0.contains(#""messageId":"m2""#) == true)
    #expect(try bench.turn(link, .linkDrained(link)).isEmpty)
  }

  /// What was marked while a gateway had no link, it hears behind its watches; of each user and chat where they stand now.
  @Test(arguments: LogKind.allCases) func receiptsOfATimeWithoutALinkAreTold(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let loop: UInt32 = 1 << 24
    let first = try bench.link()
    let told = try bench.turn(
      first, bench.watch(first, [(loop | 1, "chat:c")]), .latestSeen(first, correlation: loop, LatestSeen(version: 0)))
    guard case .latestAt(loop, let baseline)? = told.last else {
      Issue.record("\(told)")
      return
    }
    try bench.turn([.linkClosed(first)])
    let other = try bench.link(incarnation: 2)
    try bench.turn([message(bench, other, "chat:c", "m1"), message(bench, other, "chat:d", "x", chat: "d")])
    #expect(try mark(bench, other) != nil && mark(bench, other, chat: "d") != nil)
    try bench.turn([message(bench, other, "chat:c", "m2")])
    #expect(try mark(bench, other) != nil && mark(bench, other, "cem") != nil)

    let again = try bench.link(incarnation: 1)
    let missed = try bench.turn(
      again, bench.watch(again, [(loop | 5, "chat:c"), (2 * loop | 6, "chat:c")]),
      .latestSeen(again, correlation: loop, LatestSeen(version: max(1, baseline))))
    let receipts = missed.compactMap {
      if case .latest(let payload, _, let handles) = $0 { (payload, handles) } else { nil }
    }
    #expect(receipts.count == 2 && receipts.allSatisfy { $0.1 == [loop | 5] })
    #expect(receipts.first?.0.contains(#""userId":"ann","messageId":"m2""#) == true)
    #expect(receipts.last?.0.contains(#""userId":"cem""#) == true)
    guard case .latestAt(loop, let version)? = missed.last else {
      Issue.record("\(missed)")
      return
    }
    // From there on nothing is missing.
    #expect(
      try bench.turn(again, .latestSeen(again, correlation: loop, LatestSeen(version: version)))
        == [.latestAt(loop, version)])
  }

  // MARK: - What an answer may cost

  /// Nobody reads a larger number; what is marked is counted to the last.
  @Test(arguments: LogKind.allCases) func tellsNoMoreThanAThousandOfAChatAndMarksThemAll(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn((1...1100).map { message(bench, link, "chat:c", "m\($0)") })
    #expect(try unread(bench) == ["c": 1000])
    // In two places they are compared, and count the same.
    try bench.turn((101...1100).map { message(bench, link, "user:ann", "m\($0)") })
    #expect(try unread(bench) == ["c": 1000])
    #expect(try mark(bench, link, upTo: "m50") == marked(50, bench.now.wall))
    #expect(try unread(bench) == ["c": 1000])
    #expect(try mark(bench, link) == marked(1050, bench.now.wall))
    #expect(try unread(bench) == ["c": 0])
  }

  /// Of more chats than are compared the count is left out: it is not known, and not nothing.
  @Test func comparesOnlySoMuchForOneQuestion() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    let chats = (1...12).map { "c\($0)" }
    for chat in chats {
      try bench.turn([
        message(bench, link, "chat:" + chat, chat, chat: chat), message(bench, link, "user:ann", chat, chat: chat),
      ])
    }
    let counted = try unread(bench, chats)
    #expect(counted.count == SchedulerLimits.unreadComparedMax / SchedulerLimits.unreadToldMax / 2)
    #expect(counted.values.allSatisfy { $0 == 1 })
  }
}
