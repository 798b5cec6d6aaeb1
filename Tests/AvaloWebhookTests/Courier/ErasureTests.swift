import AvaloWire
import Testing

/// An inbox is erased while its events are somewhere between the log and the backend.
@Suite struct ErasureTests {
  @Test func aPageThatWasReadBeforeBringsNothingOfIt() async throws {
    let stage = try await Stage()
    let read = try await stage.follow()
    // A page may have been read before, and be sent after that is told.
    try await stage.log.say {
      $0.frame(FollowedErased(topic: Stage.inbox("ann"), upTo: 5))
      $0.frame(
        FollowedPage(through: 3, gone: 0, rows: [Stage.row(1, "ann", 5), Stage.row(2, "ann", 6), Stage.row(3, "bob")]),
        correlation: read)
    }
    try await stage.isAcknowledged(3)
    #expect(stage.backend.posts.sorted() == [Stage.id(2), Stage.id(3)])
    #expect(try await stage.worker.metric(#"avalo_webhook_skipped_total{reason="erased"}"#) == 1)
    // What is asked for from now on was read behind it: whoever is there is somebody new.
    try await stage.page([Stage.row(4, "ann", 7)], to: try await stage.isAsked(after: 3))
    try await stage.isAcknowledged(4)
    #expect(stage.backend.posts.last == Stage.id(4))
    try await stage.end()
  }

  /// One is being posted, one waits for its next attempt, and others wait behind both.
  @Test func whatIsPostedIsCutAndWhatWaitsGoesAtOnce() async throws {
    let stage = try await Stage(#", "backoff_min": "10m", "backoff_max": "10m""#)
    stage.backend.answer(Stage.id(1), with: 500)
    let read = try await stage.follow()
    try await stage.page([Stage.row(1, "ann", 1), Stage.row(2, "ann", 2), Stage.row(3, "ann", 3)], to: read)
    try await stage.wait(for: #"failed_total{reason="refused"}"#, 1)
    stage.backend.hold()
    try await stage.page(
      [Stage.row(4, "bob", 1), Stage.row(5, "bob", 2), Stage.row(6, "cas")], to: try await stage.isAsked(after: 3))
    try await stage.isPosting([4, 6])

    try await stage.erase("ann", upTo: 2)
    // What came after it is somebody's, and waits for nothing any more.
    try await stage.isPosting([3, 4, 6])
    try await stage.erase("bob", upTo: 2)
    try await stage.isPosting([3, 6])
    #expect(stage.backend.cut == [Stage.id(4)])
    try await stage.wait(for: #"skipped_total{reason="erased"}"#, 4)
    stage.backend.release()
    try await stage.isAcknowledged(6)
    #expect(stage.backend.posts.sorted() == [1, 3, 4, 6].map(Stage.id))
    // A cut says nothing of the backend.
    #expect(try await stage.worker.metric(#"avalo_webhook_failed_total{reason="unavailable"}"#) == 0)
    try await stage.end()
  }

  @Test func whatWaitsForPresenceIsNotPosted() async throws {
    var presence: PlayedNeighbour?
    let stage = try await Stage(#", "only_offline": true"#) {
      presence = try await PlayedNeighbour(path: $0.path + "/presence.sock")
    }
    let neighbour = try #require(presence)
    try await neighbour.isLinked()
    try await stage.page([Stage.row(1, "ann", 1)], to: try await stage.follow())
    let (question, correlation) = try await neighbour.next(ConnectionsQuery.self)
    #expect(question.user == "ann")
    try await stage.erase("ann", upTo: 1)
    // Behind the erasure on the same link, and so known to be read when it is acknowledged.
    try await stage.page([], through: 2, to: try await stage.isAsked(after: 1))
    try await stage.isAsked(after: 2)
    try await neighbour.say(ConnectionList(entries: [], next: 0), correlation: correlation)
    try await stage.isAcknowledged(2)
    #expect(stage.backend.posts.isEmpty)
    #expect(try await stage.worker.metric(#"avalo_webhook_skipped_total{reason="erased"}"#) == 1)
    try await stage.end()
    try await neighbour.stop()
  }
}
