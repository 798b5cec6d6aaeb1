import AvaloCore
import AvaloWire

// What the log says.
extension Courier: FollowerDelegate {
  func following(_ following: Following) {
    // They would run beside the posts that follow, and no erasure would reach them.
    cutPosts()
    if reading.follow(following, read: queue.read) {
      // What is here may have been erased.
      queue.readAgain(after: following.acknowledged)
    } else {
      queue = DeliveryQueue(after: following.acknowledged)
      log.notice(
        "following the log",
        metadata: ["generation": "\(following.generation)", "sequence": "\(following.acknowledged)"])
    }
    missed(following.missed)
    pump()
  }

  /// Posts that are under way may end: what they come to is known when the log is back.
  func lost() {
    for sequence in letters.values { postpone(sequence) }
    letters.removeAll()
  }

  func grew(_ grew: FollowedGrew) {
    reading.grow(to: grew.sequence)
    missed(grew.missed)
    pump()
  }

  private func missed(_ total: UInt64) { skipped(reading.miss(total), .missed) }

  func page(_ page: FollowedPage) {
    defer { pump() }
    guard let meanwhile = reading.came(through: page.through, from: queue.read) else { return }
    let wanted = page.rows.filter { isWanted($0.topic) }
    let rows = wanted.filter { !meanwhile.isErased($0.topic, $0.offset) }
    skipped(Int(page.gone), .expired)
    skipped(wanted.count - rows.count, .erased)
    let events = rows.map { row in
      WebhookEvent(
        generation: reading.generation, sequence: row.sequence, topic: row.topic, offset: row.offset, record: row.record
      )
    }
    queue.add(events.filter { !$0.isDeadLetter }, through: page.through)
  }

  /// Nothing that goes to the dead letters comes back.
  private func isWanted(_ topic: Topic) -> Bool {
    topic != settings.deadLetterTopic && (settings.kinds.isEmpty || settings.kinds.contains(String(topic.kind)))
  }

  func erased(_ erased: FollowedErased) {
    skipped(queue.forget(erased.topic, upTo: erased.upTo), .erased)
    reading.erase(erased.topic, upTo: erased.upTo)
    // It may wait for a connection all the time that a post may take.
    for (sequence, post) in posts where queue[sequence]?.isErased == true { post.cancel() }
    pump()
  }

  func readFailed() { reading.fail(at: now) }

  func skipped(_ count: Int, _ reason: WebhookMetrics.Skip) { metrics.skipped.with(reason.rawValue).add(count) }
}
