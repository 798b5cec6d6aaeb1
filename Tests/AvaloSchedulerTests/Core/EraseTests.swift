import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

@Suite struct EraseTests {
  private func erase(_ link: LinkID, _ user: String = "ann", before: Int64 = 1000, as correlation: UInt32) -> Command {
    .access(
      link, correlation: correlation,
      .erase(
        Erase(user: user, issuedBeforeMilliseconds: before, untilMilliseconds: CoreBench.start + 1_000_000)))
  }

  private func fill(_ bench: CoreBench, _ link: LinkID, events: Int, chats: Int = 0) throws {
    for start in stride(from: 0, to: events, by: 100) {
      try bench.turn((start..<min(events, start + 100)).map { bench.publish(link, "user:ann", id: "e\($0)") })
    }
    for chat in 0..<chats {
      try bench.turn(
        link,
        .access(
          link, correlation: 1, .changeMembers(ChangeMembers(chat: "c\(chat)", change: .add, users: ["ann", "bob"]))))
    }
  }

  /// Lets the engine work, and answers what the link was told in the end.
  private func finish(_ bench: CoreBench, _ link: LinkID, confirm position: UInt64) throws -> [Told] {
    bench.housekeep()
    return try bench.turn(link, .accessConfirmed(link, AccessConfirmed(position: position)))
  }

  @Test(arguments: LogKind.allCases) func leavesNothingOfAUser(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try fill(bench, link, events: 1203, chats: 3)
    try bench.turn(
      link, bench.attach(link, 1), bench.attach(link, 2, device: "tablet"), bench.attach(link, 3, user: "bob"),
      bench.publish(link, "user:bob", id: "b"),
      bench.publish(link, "user:ann", id: "later", deliverAt: bench.now.wall + 60_000))
    let message = EventFields(
      type: .chatMessage, timestampMilliseconds: 1, acceptedMicroseconds: 1, eventID: "m", sourceUserID: "bob",
      chatID: "c0", messageID: "m", payload: Array("{}".utf8)
    ).record()
    try bench.turn([
      .publish(
        link, correlation: 0,
        Publish(owner: "shop", topic: Topic("chat:c0")!, contentHash: CoreBench.hash("m"), record: message)),
      .markRead(link, correlation: 0, MarkRead(user: "ann", chat: "c0", isParticipant: true, messageID: "")),
    ])
    let chat = try #require(try bench.log.topic(named: "chat:c0")?.id)
    #expect(try bench.log.marker(of: "ann", in: chat) != nil)
    let told = try bench.turn(link, erase(link, as: 7))
    guard case .changed(1, let changes)? = told.first, case .revoked(let revocation)? = changes.first else {
      Issue.record("\(told)")
      return
    }
    #expect(revocation.target == .user("ann") && told.count == 1)
    #expect(
      try finish(bench, link, confirm: 1) == [.erased(7, Erased(events: 1203, devices: 2, memberships: 3))])

    #expect(try bench.events("user:ann").isEmpty)
    #expect(try bench.log.topic(named: "user:ann").map { [$0.head, $0.floor] } == [1203, 1203])
    #expect(try bench.log.devices(of: "ann").isEmpty && bench.log.delayedCount() == 0)
    #expect(
      try bench.log.members(of: bench.log.topic(named: "chat:c0")!.id, after: "", limit: 9).map(\.user) == ["bob"])
    #expect(try bench.log.erasures().isEmpty && bench.log.marker(of: "ann", in: chat) == nil)
    // Others keep what is theirs.
    #expect(try bench.events("user:bob").count == 1 && bench.log.devices(of: "bob").count == 1)
    // The tokens of before are no good, and new events come behind the old ones.
    #expect(try bench.turn(link, bench.attach(link, 4, issued: 999, as: 8)) == [.failed(8, .unauthenticated)])
    #expect(
      try bench.turn(link, bench.publish(link, "user:ann", id: "new", as: 9)) == [bench.published(9, "user:ann", 1204)])
    #expect(try bench.events("user:ann").count == 1)
  }

  /// What the cut sessions still acknowledged brings nothing back.
  @Test func cursorsOfACutDeviceAreNotWrittenBack() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try fill(bench, link, events: 3)
    try bench.turn(link, bench.attach(link, 1), bench.watch(link, [(1, "user:ann")]))
    let device = try #require(try bench.log.device(user: "ann", device: "phone")?.id)
    try bench.turn(link, bench.acknowledge(link, 1, 1, "user:ann", 2), erase(link, as: 7))
    try bench.turn(link, bench.acknowledge(link, 1, 1, "user:ann", 3), .detach(link, Detach(sessions: [1])))
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    bench.advance(SchedulerLimits.flushMilliseconds)
    bench.housekeep()
    #expect(try bench.log.cursors(of: device).isEmpty)
  }

  @Test func callingAgainDoesNoHarm() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try fill(bench, link, events: 2)
    // Twice in one turn, and once more when all is done.
    try bench.turn(link, erase(link, as: 1), erase(link, as: 2))
    #expect(
      try finish(bench, link, confirm: 2)
        == [
          .erased(1, Erased(events: 2, devices: 0, memberships: 0)),
          .erased(2, Erased(events: 2, devices: 0, memberships: 0)),
        ])
    try bench.turn(link, erase(link, as: 3))
    #expect(try finish(bench, link, confirm: 3) == [.erased(3, Erased(events: 0, devices: 0, memberships: 0))])
  }

  /// Of somebody nobody ever heard of there is nothing to erase; their tokens are taken back all the same.
  @Test func aStrangerIsErasedAtOnce() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, erase(link, "zoe", as: 1))
    #expect(try finish(bench, link, confirm: 1) == [.erased(1, Erased(events: 0, devices: 0, memberships: 0))])
  }

  /// The rows go chunk by chunk, and nobody is told of each: by then the user, signed in anew, is a member of nothing.
  @Test func isAMemberOfNothingFromTheStart() throws {
    let bench = try CoreBench(.sqlite)
    var link = try bench.link()
    try fill(bench, link, events: 3, chats: 2)
    func ask(_ user: String, as correlation: UInt32) -> Command {
      .access(link, correlation: correlation, .membershipsOf(MembershipsQuery(user: user, limit: 9)))
    }
    let told = try bench.turn(link, ask("ann", as: 1), erase(link, as: 2), ask("ann", as: 3), ask("bob", as: 4))
    #expect(told.contains(.membershipsOf(1, ["c0", "c1"])) && told.contains(.membershipsOf(3, [])))
    #expect(told.contains(.membershipsOf(4, ["c0", "c1"])), "others stay what they are")
    try bench.crash()
    link = try bench.link()
    #expect(try bench.turn(link, ask("ann", as: 5)) == [.membershipsOf(5, [])])
  }

  @Test func isFinishedAfterARestart() throws {
    let bench = try CoreBench(.sqlite)
    var link = try bench.link()
    try fill(bench, link, events: 700)
    try bench.turn(link, erase(link, as: 1))
    try bench.crash()
    link = try bench.link()
    // A new token meanwhile: nothing of what is to go is shown.
    #expect(
      try bench.turn(link, bench.attach(link, 1, issued: 2000, as: 2))
        == [.attached(2, [bench.position("user:ann", 700)])])
    bench.housekeep()
    #expect(try bench.events("user:ann").isEmpty && bench.log.erasures().isEmpty)
  }

  @Test func aLogThatFailsMeanwhileIsNoEnd() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try fill(bench, link, events: 700)
    try bench.turn(link, erase(link, as: 1))
    bench.log.failOnce(at: .commit)
    bench.housekeep()
    bench.advance(SchedulerLimits.retryMilliseconds)
    try bench.turn([])
    let told = try finish(bench, link, confirm: 1)
    #expect(told.count == 1 && bench.cuts.isEmpty)
    #expect(try bench.events("user:ann").isEmpty)
  }
}
