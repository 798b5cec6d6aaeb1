import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// Access as a log: what is committed, who is told, and who is answered when.
@Suite struct AccessTests {
  private let chat = Topic("chat:c")!

  private func change(
    _ link: LinkID, _ change: ChangeMembers.Change, _ users: [String], chat: String = "c", as correlation: UInt32
  ) -> Command {
    .access(
      link, correlation: correlation, .changeMembers(ChangeMembers(chat: chat, change: change, users: users)))
  }

  private func revoke(_ link: LinkID, _ revocation: Revocation, as correlation: UInt32) -> Command {
    .access(link, correlation: correlation, .revoke(Revoke(revocation)))
  }

  private func confirm(_ link: LinkID, _ position: UInt64) -> Command {
    .accessConfirmed(link, AccessConfirmed(position: position))
  }

  private func list(_ link: LinkID, after: String = "", limit: UInt32 = 100, as correlation: UInt32) -> Command {
    .access(link, correlation: correlation, .listMembers(ListMembers(chat: "c", after: after, limit: limit)))
  }

  private func ann(_ before: Int64) -> Revocation {
    Revocation(.user("ann"), issuedBeforeMilliseconds: before, untilMilliseconds: CoreBench.start + 1_000_000)
  }

  private func changed(_ correlation: UInt32, added: UInt32 = 0, removed: UInt32 = 0, members: UInt32 = 0) -> Told {
    .membersChanged(correlation, MembersChanged(added: added, removed: removed, members: members))
  }

  // MARK: - Members

  @Test(arguments: LogKind.allCases) func membersBeginBehindTheHead(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "chat:c", id: "1"), bench.publish(link, "chat:c", id: "2"))
    // Nobody loses anything by it: it is answered at once.
    #expect(
      try bench.turn(link, change(link, .add, ["ann", "bob", "ann"], as: 1)) == [changed(1, added: 2, members: 2)])
    #expect(
      try bench.turn(
        link, bench.publish(link, "chat:c", id: "3"), change(link, .add, ["ann", "zoe"], as: 2), list(link, as: 3)
      ).dropFirst()
        == [
          changed(2, added: 1, members: 3),
          .memberList(
            3,
            MemberList(
              total: 3,
              members: [.init(user: "ann", since: 3), .init(user: "bob", since: 3), .init(user: "zoe", since: 4)],
              hasMore: false)),
        ])
  }

  @Test func listsAPageAtATime() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, change(link, .set, ["c", "b", "a"], as: 1))
    func page(_ after: String, _ limit: UInt32) throws -> ([String], Bool) {
      guard case .memberList(_, let list)? = try bench.turn(link, list(link, after: after, limit: limit, as: 9)).first
      else { return ([], false) }
      #expect(list.total == 3)
      return (list.members.map(\.user), list.hasMore)
    }
    #expect(try page("", 2) == (["a", "b"], true))
    #expect(try page("b", 2) == (["c"], false))
    // Of nobody's chat there are none.
    let none = try bench.turn(
      link, .access(link, correlation: 4, .listMembers(ListMembers(chat: "unknown", after: "", limit: 9))))
    #expect(none == [.memberList(4, MemberList(total: 0, members: [], hasMore: false))])
  }

  @Test func aRemovalIsAnsweredWhenEveryGatewayHasItInForce() throws {
    let bench = try CoreBench()
    let one = try bench.link(incarnation: 1)
    let two = try bench.link(incarnation: 2)
    try bench.turn(one, change(one, .add, ["ann", "bob"], as: 1))
    var told = try bench.turn([change(one, .remove, ["ann", "zoe"], as: 2)])
    // Also of who was none: the caller may be asking for the second time.
    let step = Told.changed(1, [.removed(chat, users: ["ann", "zoe"])])
    #expect(told == [one: [step], two: [step]])
    told = try bench.turn([confirm(one, 1)])
    #expect(told.isEmpty)
    told = try bench.turn([confirm(two, 1)])
    #expect(told == [one: [changed(2, removed: 1, members: 1)]])
  }

  @Test func settingMembersRemovesTheOthers() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, change(link, .set, ["ann", "bob"], as: 1))
    #expect(
      try bench.turn(link, change(link, .set, ["bob", "zoe"], as: 2))
        == [.changed(1, [.removed(chat, users: ["ann"])])])
    #expect(try bench.turn(link, confirm(link, 1)) == [changed(2, added: 1, removed: 1, members: 2)])
    // Nobody is left in an emptied chat.
    try bench.turn(link, change(link, .set, [], as: 3))
    #expect(try bench.turn(link, confirm(link, 2)) == [changed(3, removed: 2, members: 0)])
  }

  /// Asked twice: the second answer says no more than the first, and comes no earlier.
  @Test func aChangeThatFindsNothingToDoWaitsForTheOneBefore() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, change(link, .set, ["ann", "bob"], as: 1))
    try bench.turn(link, change(link, .set, ["bob"], as: 2))
    #expect(try bench.turn(link, change(link, .set, ["bob"], as: 3)).isEmpty)
    #expect(
      try bench.turn(link, confirm(link, 1)) == [changed(2, removed: 1, members: 1), changed(3, members: 1)])
    // With nothing under way it is answered at once.
    #expect(try bench.turn(link, change(link, .set, ["bob"], as: 4)) == [changed(4, members: 1)])
    // Of a chat that nobody ever was in, too.
    #expect(
      try bench.turn(link, change(link, .remove, ["ann"], chat: "new", as: 5))
        == [.changed(2, [.removed(Topic("chat:new")!, users: ["ann"])])])
    #expect(try bench.log.topic(named: "chat:new") == nil)
  }

  @Test func aChatHasABoundedNumberOfMembers() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    let perCall = Limits.membersPerCallMax
    for call in 0..<(Limits.chatMembersMax / perCall) {
      try bench.turn(link, change(link, .add, (0..<perCall).map { "u\(call)-\($0)" }, as: 1))
    }
    #expect(try bench.turn(link, change(link, .add, ["one-more"], as: 2)) == [.failed(2, .resourceExhausted)])
    #expect(
      try bench.turn(link, change(link, .add, ["u0-0"], as: 3))
        == [changed(3, members: UInt32(Limits.chatMembersMax))])
    // All of them go in steps that fit in a frame.
    let told = try bench.turn(link, change(link, .set, ["u0-0"], as: 4))
    #expect(told.count == Limits.chatMembersMax / perCall)
    #expect(
      try bench.turn(link, confirm(link, UInt64(told.count)))
        == [changed(4, removed: UInt32(Limits.chatMembersMax - 1), members: 1)])
  }

  @Test func answersMembershipsInABatch() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "chat:c"), change(link, .add, ["ann"], as: 1))
    let query = MembershipQuery(entries: [
      .init(chat: "c", user: "ann"), .init(chat: "c", user: "bob"), .init(chat: "unknown", user: "ann"),
    ])
    #expect(try bench.turn(link, .access(link, correlation: 2, .memberships(query))) == [.memberships(2, [2, 0, 0])])
  }

  // MARK: - What sessions are let into

  @Test(arguments: LogKind.allCases) func letsMembersInFromTheirFirstOffsetOn(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "chat:c", id: "1"), change(link, .add, ["ann"], as: 1))
    try bench.turn(link, bench.publish(link, "chat:c", id: "2"))
    #expect(
      try bench.turn(link, bench.attach(link, 1, topics: ["user:ann"], ifMember: ["chat:c", "chat:d"], as: 2))
        == [
          .answered(
            2,
            [
              .granted(bench.position("user:ann", 0), since: 0), .granted(bench.position("chat:c", 2), since: 2),
              .denied(.permissionDenied),
            ])
        ])
    // Only a chat has members.
    #expect(
      try bench.turn(link, bench.cursors(link, 1, [], ifMember: ["feed:c"], as: 3))
        == [.answered(3, [.denied(.permissionDenied)])])
    #expect(
      try bench.turn(link, bench.cursors(link, 1, [], user: "bob", ifMember: ["chat:c"], as: 4))
        == [.answered(4, [.denied(.permissionDenied)])])
  }

  /// The device was there before, and comes back as a member anew: where it stopped, and from where on it may see.
  @Test func theGatewayHearsWhatLiesBeforeANewMembership() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, change(link, .add, ["ann"], as: 1), bench.publish(link, "chat:c", id: "1"))
    try bench.turn(link, bench.attach(link, 1, topics: [], ifMember: ["chat:c"]))
    try bench.turn(link, change(link, .remove, ["ann"], as: 2), confirm(link, 1))
    try bench.turn(link, bench.publish(link, "chat:c", id: "2"), bench.publish(link, "chat:c", id: "3"))
    try bench.turn(link, change(link, .add, ["ann"], as: 3), bench.publish(link, "chat:c", id: "4"))
    try bench.turn(link, .detach(link, Detach(sessions: [1])))
    #expect(
      try bench.turn(link, bench.attach(link, 2, topics: [], ifMember: ["chat:c"], as: 4))
        == [.answered(4, [.granted(bench.position("chat:c", 1), since: 4)])])
  }

  /// The order of the link is the order of the log: who was let in before a removal hears of it behind their answer, who
  /// comes after it is refused, and who comes after a new membership keeps it.
  @Test func stepsLieAtTheirPlaceAmongTheAnswers() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, change(link, .add, ["ann"], as: 1))
    let told = try bench.turn(
      link, bench.attach(link, 1, topics: [], ifMember: ["chat:c"], as: 2), change(link, .remove, ["ann"], as: 3),
      bench.attach(link, 2, device: "tablet", topics: [], ifMember: ["chat:c"], as: 4),
      change(link, .add, ["ann"], as: 5),
      bench.attach(link, 3, device: "desk", topics: [], ifMember: ["chat:c"], as: 6))
    let granted = Attached.Answer.granted(bench.position("chat:c", 0), since: 1)
    #expect(
      told == [
        .answered(2, [granted]), .changed(1, [.removed(chat, users: ["ann"])]),
        .answered(4, [.denied(.permissionDenied)]),
        changed(5, added: 1, members: 1), .answered(6, [granted]),
      ])
  }

  // MARK: - Publishing

  @Test func theSchedulerHasTheLastWordOnAUsersPublish() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    func publish(_ id: String, as correlation: UInt32, mustBeMember: Bool = true, issued: Int64 = 10) -> Command {
      .publish(
        link, correlation: correlation,
        Publish(
          owner: "user:ann", topic: chat, contentHash: 1, record: CoreBench.record("{}", id: id),
          user: .init(TokenName(user: "ann", issuedAtMilliseconds: issued), mustBeMember: mustBeMember)))
    }
    #expect(try bench.turn(link, publish("1", as: 1)) == [.failed(1, .permissionDenied)])
    #expect(try bench.turn(link, publish("2", as: 2, mustBeMember: false)) == [bench.published(2, "chat:c", 1)])
    try bench.turn(link, change(link, .add, ["ann"], as: 3))
    #expect(try bench.turn(link, publish("3", as: 4)) == [bench.published(4, "chat:c", 2)])
    // Removed and published in one turn: the order decides.
    let told = try bench.turn(link, change(link, .remove, ["ann"], as: 5), publish("4", as: 6))
    #expect(told == [.changed(1, [.removed(chat, users: ["ann"])]), .failed(6, .permissionDenied)])
    // What was kept stays kept, whoever asks again.
    #expect(try bench.turn(link, publish("3", as: 7)) == [bench.published(7, "chat:c", 2, duplicate: true)])
    try bench.turn(link, revoke(link, ann(11), as: 8))
    #expect(try bench.turn(link, publish("5", as: 9, mustBeMember: false)) == [.failed(9, .unauthenticated)])
    #expect(
      try bench.turn(link, publish("6", as: 10, mustBeMember: false, issued: 11)) == [bench.published(10, "chat:c", 3)])
  }

  // MARK: - Revocations

  @Test(arguments: LogKind.allCases) func aNewLinkBeginsWithAllRevocations(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, revoke(link, ann(50), as: 1), revoke(link, .token("t", untilMilliseconds: .max), as: 2))
    try bench.turn(link, revoke(link, ann(40), as: 3))
    let gauge = LinkGauge()
    let other = LinkID(rawValue: 99)
    let told = try bench.turn([.linkOpened(other, instance: "gateway.9", incarnation: 9, gauge: gauge)])[other] ?? []
    guard told.count == 2, case .changed(3, let changes) = told[0] else {
      Issue.record("\(told)")
      return
    }
    #expect(changes.count == 2 && changes.contains(.revoked(ann(50))))
    #expect(told[1] == .accessLive(3))
    // Nobody waits for who was told it all at the start.
    #expect(try bench.turn([confirm(link, 3)])[link]?.count == 3)
  }

  @Test func survivesTheProcess() throws {
    let bench = try CoreBench(.sqlite)
    var link = try bench.link()
    try bench.turn(link, revoke(link, ann(50), as: 1), change(link, .add, ["bob"], as: 2))
    try bench.crash()
    link = try bench.link()
    #expect(try bench.turn(link, bench.attach(link, 1, issued: 49, as: 3)) == [.failed(3, .unauthenticated)])
    #expect(
      try bench.turn(link, bench.attach(link, 2, user: "bob", topics: [], ifMember: ["chat:c"], as: 4))
        == [.answered(4, [.granted(bench.position("chat:c", 0), since: 1)])])
    // Positions go on where they were.
    #expect(
      try bench.turn(link, change(link, .remove, ["bob"], as: 5)) == [.changed(2, [.removed(chat, users: ["bob"])])])
  }

  @Test func aRevokedTokenAttachesNoMore() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1, token: "t1", issued: 100))
    try bench.turn(link, revoke(link, .token("t1", untilMilliseconds: .max), as: 1))
    #expect(
      try bench.turn(link, bench.attach(link, 1, token: "t1", issued: 100, as: 2)) == [.failed(2, .unauthenticated)])
    #expect(
      try bench.turn(link, bench.attach(link, 2, token: "t2", issued: 100, as: 3))
        == [.attached(3, [bench.position("user:ann", 0)])])
    try bench.turn(
      link, revoke(link, Revocation(.everybody, issuedBeforeMilliseconds: 101, untilMilliseconds: .max), as: 4))
    #expect(
      try bench.turn(link, bench.attach(link, 3, token: "t2", issued: 100, as: 5)) == [.failed(5, .unauthenticated)])
  }

  @Test func forgetsWhatCanMatterNoMore() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    let brief = Revocation.token("t", untilMilliseconds: bench.now.wall + 5000)
    try bench.turn(link, revoke(link, brief, as: 1), revoke(link, ann(5), as: 2), confirm(link, 2))
    bench.advance(SchedulerLimits.deviceSweepMilliseconds)
    bench.housekeep()
    #expect(try bench.turn([])[link] == [.changed(3, [.released(.token("t"))])])
    #expect(try bench.log.revocations() == [ann(5)])
    #expect(try bench.log.accessPosition() == 3)
  }

  // MARK: - Gateways that do not follow

  @Test func cutsAGatewayThatDoesNotConfirmAndAnswersThen() throws {
    let bench = try CoreBench()
    let one = try bench.link(incarnation: 1)
    let two = try bench.link(incarnation: 2)
    try bench.turn(one, revoke(one, ann(50), as: 1))
    #expect(try bench.turn([confirm(one, 1)]).isEmpty)
    #expect(bench.core.deadline <= bench.now.monotonic + SchedulerLimits.accessConfirmMilliseconds)
    bench.advance(SchedulerLimits.accessConfirmMilliseconds - 1)
    #expect(try bench.turn([]).isEmpty && bench.cuts.isEmpty)
    bench.advance(1)
    #expect(try bench.turn([]) == [one: [.revoked(1)]])
    #expect(bench.cuts == [two])
  }

  @Test func aLinkThatEndsHoldsNobodyUp() throws {
    let bench = try CoreBench()
    let one = try bench.link(incarnation: 1)
    let two = try bench.link(incarnation: 2)
    try bench.turn(one, revoke(one, ann(50), as: 1), confirm(one, 1))
    #expect(try bench.turn([.linkClosed(two)]) == [one: [.revoked(1)]])
    // And who asked may be gone as well.
    try bench.turn(one, revoke(one, ann(60), as: 2))
    #expect(try bench.turn([.linkClosed(one)]).isEmpty)
  }

  /// A full link gets no events, but steps of access all the same.
  @Test func aStuckGatewayIsToldOfAccess() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    bench.wait(in: link, 64 << 20)
    let told = try bench.turn([revoke(link, ann(50), as: 1)])
    #expect(told[link] == [.changed(1, [.revoked(ann(50))])])
  }

  // MARK: - A log that fails

  @Test(arguments: LogKind.allCases, [false, true]) func aFailedChangeIsUnknownUntilTheLogWorksAgain(
    _ engine: LogKind, happened: Bool
  ) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, change(link, .add, ["ann", "bob"], as: 1))
    bench.log.keepsFailedCommits = happened
    bench.log.failOnce(at: .commit)
    let told = try bench.turn(link, change(link, .remove, ["ann"], as: 2), revoke(link, ann(50), as: 3))
    // No gateway hears of what may not be.
    #expect(told == [.failed(2, .unavailable), .failed(3, .unavailable)])
    #expect(try bench.turn(link, change(link, .remove, ["bob"], as: 4)) == [.failed(4, .unavailable)])
    bench.advance(SchedulerLimits.retryMilliseconds)
    // Gateways link again, and are told what is.
    #expect(try bench.turn([]).isEmpty)
    #expect(bench.cuts == [link])
    let again = try bench.link(incarnation: 2)
    let isMember = try bench.turn(again, bench.attach(again, 1, topics: [], ifMember: ["chat:c"], issued: 60, as: 5))
    #expect(
      isMember
        == [
          .answered(5, [happened ? .denied(.permissionDenied) : .granted(bench.position("chat:c", 0), since: 1)])
        ])
    let revoked = try bench.turn(again, bench.attach(again, 2, issued: 49, as: 6))
    #expect(revoked == [happened ? .failed(6, .unauthenticated) : .attached(6, [bench.position("user:ann", 0)])])
    #expect(try bench.log.accessPosition() == (happened ? 2 : 0))
  }

  /// A gateway that links in a turn whose transaction fails is told the state of access all the same.
  @Test func aLinkOpenedInAFailingTurnIsToldTheState() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    bench.log.failOnce(at: .commit)
    let other = LinkID(rawValue: 99)
    let told = try bench.turn([
      bench.publish(link, "user:ann", as: 1),
      .linkOpened(other, instance: "gateway.9", incarnation: 9, gauge: LinkGauge()),
    ])
    #expect(told[link] == [.failed(1, .unavailable)])
    #expect(told[other] == [.accessLive(0)])
  }

  @Test(arguments: LogKind.allCases) func saysWhichChatsAUserIsAMemberOf(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    for chat in ["c1", "c2", "c3"] {
      try bench.turn(
        link,
        .access(
          link, correlation: 1,
          .changeMembers(ChangeMembers(chat: chat, change: .add, users: chat == "c3" ? ["bob"] : ["ann", "bob"]))))
    }
    func ask(_ user: String, limit: UInt32 = 256) throws -> [Told] {
      try bench.turn(
        link, .access(link, correlation: 2, .membershipsOf(MembershipsQuery(user: user, limit: limit))))
    }
    #expect(try ask("ann") == [.membershipsOf(2, ["c1", "c2"])])
    #expect(try ask("zoe") == [.membershipsOf(2, [])])
    guard case .membershipsOf(2, let some)? = try ask("bob", limit: 2).first else {
      Issue.record("no answer")
      return
    }
    #expect(some.count == 2)
  }
}
