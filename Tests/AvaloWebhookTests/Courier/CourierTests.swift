import AvaloCore
import AvaloWire
import Glibc
import Testing

/// The way of an event from the log to the backend, or to the dead letters.
@Suite struct CourierTests {
  @Test func postsSoManyAtATimeAndEachTopicInOrder() async throws {
    let stage = try await Stage(#", "concurrency": 3"#)
    stage.backend.hold()
    let read = try await stage.follow()
    let rows = (0..<24).map { Stage.row($0 + 1, "user\($0 % 4)", $0 / 4 + 1) }
    try await stage.page(rows, to: read)
    try await stage.isPosting([1, 2, 3])
    // Reading goes on meanwhile, and brings nothing to post.
    try await stage.page([], through: 30, to: try await stage.isAsked(after: 24))
    try await stage.isAsked(after: 30)
    stage.backend.release()
    try await stage.isAcknowledged(30)
    #expect(stage.backend.underWayMost == 3)
    let posts = stage.backend.posts
    for user: UInt64 in 0..<4 {
      let ids = (0..<6).map { Stage.id($0 * 4 + user + 1) }
      #expect(posts.filter(ids.contains) == ids)
    }
    try await stage.end()
  }

  @Test func asksPresenceWhoIsHere() async throws {
    var played: PlayedNeighbour?
    let stage = try await Stage(#", "only_offline": true"#) {
      played = try await PlayedNeighbour(path: $0.path + "/presence.sock")
    }
    let presence = try #require(played)
    try await presence.isLinked()
    try await stage.page(["ann", "bob", "cas"].enumerated().map { Stage.row(UInt64($0) + 1, $1) }, to: stage.follow())
    let here = ConnectionList.Entry(
      connectionID: "c1", user: "ann", device: "phone", platform: .ios, connectedMilliseconds: 1, seenMilliseconds: 1)
    for _ in 1...3 {
      let (question, correlation) = try await presence.next(ConnectionsQuery.self)
      switch question.user {
      case "ann": try await presence.say(ConnectionList(entries: [here], next: 0), correlation: correlation)
      case "bob": try await presence.say(ConnectionList(entries: [], next: 0), correlation: correlation)
      // Is not answered in time, and so is posted.
      default: #expect(question.user == "cas")
      }
    }
    try await stage.isAcknowledged(3)
    #expect(stage.backend.posts == [Stage.id(2), Stage.id(3)])
    #expect(try await stage.worker.metric(#"avalo_webhook_skipped_total{reason="online"}"#) == 1)

    // It goes while it is asked, and is away.
    try await stage.page([Stage.row(4, "ann", 2)], to: try await stage.isAsked(after: 3))
    _ = try await presence.next(ConnectionsQuery.self)
    try await presence.stop()
    try await stage.page([Stage.row(5, "ann", 3)], to: try await stage.isAsked(after: 4))
    try await stage.isAcknowledged(5)
    #expect(stage.backend.posts.suffix(2) == [Stage.id(4), Stage.id(5)])
    try await stage.end()
  }

  /// The event is held until the log has its dead letter, which a full disk may keep it from taking.
  @Test func whatIsGivenUpIsADeadLetterBeforeItIsDone() async throws {
    let stage = try await Stage(#", "give_up_after": "1s", "backoff_min": "10ms", "backoff_max": "100ms""#)
    stage.backend.answer(Stage.id(1), with: 503)
    try await stage.page([Stage.row(1, "ann", 1), Stage.row(2, "ann", 2)], to: try await stage.follow())
    let (first, number) = try await stage.log.next(Publish.self)
    #expect(first.topic.name == "webhook:dead" && first.owner == "webhook:webhook")
    let full = Failed(.unavailable, "the event log takes nothing at the moment: try again")
    try await stage.log.say(full, correlation: number)
    let (second, again) = try await stage.log.next(Publish.self)
    #expect(second.contentHash == first.contentHash)
    #expect(!stage.backend.posts.contains(Stage.id(2)))
    try await stage.log.say(Published(position: .none, durability: .os, duplicate: false), correlation: again)
    try await stage.isAcknowledged(2)
    #expect(stage.backend.posts.last == Stage.id(2))
    #expect(try await stage.worker.metric("avalo_webhook_dead_lettered_total") == 1)
    try await stage.wait(for: "paused", 0)
    try await stage.end()
  }

  @Test func asksAgainForAPageThatTheLogCouldNotRead() async throws {
    let stage = try await Stage()
    let read = try await stage.follow()
    try await stage.log.say(Failed(.unavailable, "the event log cannot be read now: try again"), correlation: read)
    try await stage.page([Stage.row(1, "ann")], to: try await stage.isAsked(after: 0))
    try await stage.isAcknowledged(1)
    try await stage.end()
  }

  /// A backend that moved, or was mended, is not left alone until the end of a pause that the old one has earned.
  @Test func aReloadAsksTheBackendAtOnceAndSignsWithWhatTheFileHolds() async throws {
    let stage = try await Stage(#", "backoff_min": "10m", "backoff_max": "10m""#)
    stage.backend.answer(Stage.id(1), with: 503, retryAfter: "99999999999999999999")
    try await stage.page([Stage.row(1, "ann")], to: try await stage.follow())
    try await stage.wait(for: "paused", 1)
    let (old, new) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
    #expect(stage.backend.signature(of: Stage.id(1))?.split(separator: " ").count == 1)

    stage.backend.answer(Stage.id(1), with: 200)
    try stage.folder.write("\(new)\n\(old)\n", to: "webhook.secret")
    stage.worker.process.signal(SIGHUP)
    try await stage.isAcknowledged(1)
    #expect(stage.backend.signature(of: Stage.id(1))?.split(separator: " ").count == 2)

    // A file that is not whole changes nothing.
    try stage.folder.write("whsec_\n", to: "webhook.secret")
    stage.worker.process.signal(SIGHUP)
    try await stage.worker.process.waitForOutput("the old settings stay")
    try await stage.page([Stage.row(2, "ann", 2)], to: try await stage.isAsked(after: 1))
    try await stage.isAcknowledged(2)
    #expect(stage.backend.signature(of: Stage.id(2))?.split(separator: " ").count == 2)
    try await stage.end()
  }

  @Test func waitsForWhatIsUnderWayWhenItIsStopped() async throws {
    let stage = try await Stage()
    stage.backend.hold()
    try await stage.page([Stage.row(1, "ann", 1), Stage.row(2, "ann", 2)], to: try await stage.follow())
    try await stage.isPosting([1])
    stage.worker.process.signal(SIGTERM)
    try await stage.worker.process.waitForNotification("STOPPING=1")
    stage.backend.release()
    try await stage.end(isTold: true)
    #expect(try await stage.log.next(AcknowledgeFollowed.self).message.sequence == 1)
    #expect(stage.backend.posts == [Stage.id(1)] && stage.backend.cut.isEmpty)
  }

  /// A backend that takes longer than the worker has is no failure of the worker.
  @Test func cutsWhatIsUnderWayAtTheEndOfItsTime() async throws {
    let stage = try await Stage(environment: ["AVALO_DRAIN_USEC": "2000000"])
    stage.backend.answer(Stage.id(1), with: 204)
    try await stage.page([Stage.row(1, "ann", 1)], to: try await stage.follow())
    try await stage.wait(for: "sent_total", 1)
    stage.backend.hold()
    try await stage.page([Stage.row(2, "ann", 2)], to: try await stage.isAsked(after: 1))
    try await stage.isPosting([2])
    try await stage.end()
    #expect(try await stage.log.next(AcknowledgeFollowed.self).message.sequence == 1)
  }
}
