import AvaloWire
import Testing

/// The log goes away and comes back under the webhook.
@Suite struct LinkLossTests {
  /// What is done behind an event that is refused is not posted again, however often the log comes back.
  @Test func whatIsDoneIsNotPostedAgain() async throws {
    let stage = try await Stage(#", "backoff_min": "10m", "backoff_max": "10m""#)
    stage.backend.answer(Stage.id(1), with: 500)
    var rows = [Stage.row(1, "ann"), Stage.row(2, "bob", 1), Stage.row(3, "cas"), Stage.row(4, "bob", 2)]
    try await stage.page(rows, to: try await stage.follow())
    try await stage.wait(for: "sent_total", 3)
    try await stage.wait(for: #"failed_total{reason="refused"}"#, 1)
    try await stage.isAsked(after: 4)

    for last: UInt64 in 5...24 {
      try await stage.log.cut()
      let read = try await stage.follow()
      rows.append(Stage.row(last, "user\(last)"))
      try await stage.page(rows, to: read)
      try await stage.wait(for: "sent_total", Double(last) - 1)
      try await stage.isAsked(after: last)
    }
    #expect(stage.backend.posts.sorted() == (1...24).map(Stage.id).sorted())
    try await stage.end()
  }

  /// Attempts, and the time since the first, are not counted anew.
  @Test(arguments: [(500, "refused", #""attempts": 3"#, 3), (503, "unavailable", #""give_up_after": "1s""#, 0)])
  func whatFailedGoesOnBeingCounted(status: Int, reason: String, setting: String, attempts: Int) async throws {
    let stage = try await Stage(#", "backoff_min": "200ms", "backoff_max": "200ms", \#(setting)"#)
    stage.backend.answer(Stage.id(1), with: status)
    try await stage.page([Stage.row(1, "ann")], to: try await stage.follow())
    var letter: (message: Publish, correlation: UInt32)?
    var failures = 0.0
    while letter == nil {
      try #require(failures < 30, "it is given up some time")
      let known = failures
      failures = try await eventually("another failure, or the end of it") {
        letter = try letter ?? stage.log.take(Publish.self)
        let failures = try await stage.worker.metric(#"avalo_webhook_failed_total{reason="\#(reason)"}"#) ?? 0
        return failures > known || letter != nil ? failures : nil
      }
      // With the last failure its letter goes out, and would once more.
      guard letter == nil, status == 503 || failures < 3 else { continue }
      try await stage.log.cut()
      try await stage.page([Stage.row(1, "ann")], to: try await stage.follow())
    }
    if status == 500 { #expect(stage.backend.posts.count == 3) }
    let (message, number) = try #require(letter)
    let text = String(decoding: message.record, as: UTF8.self)
    #expect(text.contains(#""attempts":\#(attempts),"reason":"HTTP \#(status)""#))
    try await stage.log.say(Published(position: .none, durability: .os, duplicate: false), correlation: number)
    try await stage.isAcknowledged(1)
    try await stage.end()
  }

  /// A post that is under way may end while the log is away; what has not begun waits for the log's word, for it may be
  /// erased meanwhile. What has not ended by then is cut, and posted once more.
  @Test func nothingBeginsWhileTheLogIsAway() async throws {
    let stage = try await Stage()
    stage.backend.hold()
    let rows = [Stage.row(1, "ann", 1), Stage.row(2, "ann", 2), Stage.row(3, "bob", 1), Stage.row(4, "bob", 2)]
    try await stage.page(rows, to: try await stage.follow())
    try await stage.isPosting([1, 3])
    try await stage.log.cut()
    let again = try await stage.log.next(Follow.self).correlation
    stage.backend.release()
    try await stage.wait(for: "sent_total", 2)
    stage.backend.hold()
    try await stage.log.say(Following(generation: Stage.generation, acknowledged: 0, missed: 0), correlation: again)
    // Ann was erased while the log was away.
    try await stage.page([rows[2], rows[3], Stage.row(5, "cas")], to: try await stage.isAsked(after: 1))
    try await stage.isPosting([4, 5])
    #expect(stage.backend.posts.sorted() == [1, 3, 4, 5].map(Stage.id))

    try await stage.log.cut()
    let read = try await stage.follow(acknowledged: 3)
    _ = try await eventually("the cut") { stage.backend.cut.count == 2 ? true : nil }
    stage.backend.release()
    try await stage.page([rows[3], Stage.row(5, "cas")], to: read)
    try await stage.isAcknowledged(5)
    #expect(stage.backend.posts.sorted() == [1, 3, 4, 4, 5, 5].map(Stage.id))
    #expect(try await stage.worker.metric("avalo_webhook_retried_total") == 2)
    try await stage.end()
  }
}
