import AvaloMetrics
import AvaloWire

// What is given up is done when the log has its dead letter, and not before.
extension Courier {
  func bury(_ item: DeliveryQueue.Item) {
    guard let topic = settings.deadLetterTopic, let reason = item.givenUp else { return buried(item.event.sequence) }
    let letter = Publish(
      owner: "webhook:" + context.name, topic: topic, contentHash: item.event.sequence,
      record: item.event.deadLetter(attempts: item.attempts, reason: reason, at: context.wallClock.milliseconds))
    if let number = follower.publish(letter) {
      letters[number] = item.event.sequence
    } else {
      postpone(item.event.sequence)
    }
  }

  func published(_ number: UInt32, _ result: Result<Void, Failed>) {
    guard let sequence = letters.removeValue(forKey: number) else { return }
    switch result {
    case .success: buried(sequence)
    // It is there already.
    case .failure(let failed) where failed.code == .alreadyExists: buried(sequence)
    case .failure(let failed) where failed.code == .unavailable: postpone(sequence)
    case .failure(let failed):
      log.error("the log refuses a dead letter: the event is dropped", metadata: ["reason": "\(failed.message)"])
      buried(sequence)
    }
    pump()
  }

  func postpone(_ sequence: UInt64) {
    guard let item = queue[sequence] else { return }
    queue.wait(item, until: now + WebhookLimits.linkRetryMilliseconds)
  }

  private func buried(_ sequence: UInt64) {
    guard let item = queue[sequence] else { return }
    metrics.dead.add()
    log.warning(
      "an event was given up",
      metadata: [
        "webhook_id": "\(item.event.id)", "attempts": "\(item.attempts)", "reason": "\(item.givenUp ?? "")",
      ])
    queue.finish(sequence)
  }
}
