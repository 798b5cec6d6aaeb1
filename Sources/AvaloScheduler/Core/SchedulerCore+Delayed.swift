import AvaloCore
import AvaloStore
import AvaloWire

// Events that are held for later: holding, delivering when due, taking back. Which of the two last comes first is decided
// by one transaction (delivery.md, rule 15).
extension SchedulerCore {
  func hold(
    _ publish: Publish, _ event: EventHead, topic: Int32, hash: UInt64, _ origin: Origin
  ) throws(LogError) {
    guard publish.deliverAtMilliseconds <= moment.wall + SchedulerLimits.delayMilliseconds else {
      return refuse(origin, .invalidArgument, "deliverAt is more than a year ahead", .invalid)
    }
    guard delayedCount + turn.delayedChange < settings.delayedMax else {
      return refuse(origin, .resourceExhausted, "\(settings.delayedMax) events are held for later already", .limit)
    }
    let due = publish.deliverAtMilliseconds
    try log.hold(
      DelayedEvent(
        due: due, topic: publish.topic.name, hash: hash, content: publish.contentHash, record: publish.record))
    // Known until it is done and as long as the event lives then.
    try log.put(
      key(hash, publish.contentHash, offset: 0, until: due + Int64(event.ttlSeconds) * 1000, after: due),
      topic: topics[topic].id)
    try note(.held, hash: hash, in: topics[topic].id, until: due + SchedulerLimits.delayedKnownMilliseconds)
    turn.delayedChange += 1
    turn.hasDelayedChange = true
    answer(origin, Published(position: .none, durability: log.durability, duplicate: false))
  }

  /// Appends what was held until now. Removing it there and appending it here are one transaction.
  func releaseDue() throws(LogError) {
    let now = clock.deletionTime(moment)
    guard let due = nextDue, due <= now, health == .healthy else { return }
    try ensureTransaction()
    for held in try log.due(nowMilliseconds: now, limit: SchedulerLimits.dueMax) {
      try letGo(held.id)
      var record = held.record
      guard let event = record.withUnsafeBytes({ EventHead($0) }) else {
        logger.error("a held event does not parse", metadata: ["id": "\(held.id)"])
        continue
      }
      // Its way begins now: whoever measures it does not measure the wait.
      let accepted = moment.wall * 1000
      record.withUnsafeMutableBytes { EventRecord.setAccepted(accepted, in: $0) }
      let topic = try row(ofTopic: held.topic)
      _ = try append(record, event, to: topic, hash: held.hash, content: held.content)
      try note(
        .delivered, hash: held.hash, in: topics[topic].id, until: now + SchedulerLimits.delayedKnownMilliseconds)
    }
  }

  /// Takes a held event back. Its key goes with it: the same event may be published anew.
  func cancelDelayed(_ cancel: CancelDelayed, _ origin: Origin) throws(LogError) {
    expectAnswer(origin)
    guard health == .healthy else {
      metrics.refused(.log)
      return refuse(origin, SchedulerCore.unavailable)
    }
    try ensureTransaction()
    var eventID = cancel.eventID
    let hash = eventID.withUTF8 { log.identity.hash(owner: cancel.owner, eventID: UnsafeRawBufferPointer($0)) }
    guard let (topic, name) = try topic(of: cancel, hash: hash) else {
      return refuse(origin, Failed(.notFound, "no event \"\(cancel.eventID)\" was held for later"))
    }
    if let held = try log.delayed(topic: name.name, hash: hash) {
      try letGo(held)
      // From now on it does not count, and the next sweep takes it.
      var key = key(hash, 0, offset: 0, until: 0)
      key.until = 0
      try log.put(key, topic: topic)
      try note(.cancelled, hash: hash, in: topic, until: moment.wall + SchedulerLimits.delayedKnownMilliseconds)
      metrics.cancelled.add()
      return answer(origin, DelayedCancelled(topic: name, duplicate: false))
    }
    switch try fate(hash: hash, in: topic) {
    case .cancelled: answer(origin, DelayedCancelled(topic: name, duplicate: true))
    case .delivered:
      refuse(origin, Failed(.failedPrecondition, "event \"\(cancel.eventID)\" was delivered already"))
    // What was held for a user who was erased is gone.
    case .held, nil: refuse(origin, Failed(.notFound, "no event \"\(cancel.eventID)\" is held for \(name)"))
    }
  }

  private func letGo(_ held: Int64) throws(LogError) {
    try log.release(delayed: held)
    turn.hasWrites = true
    turn.delayedChange -= 1
    turn.hasDelayedChange = true
  }

  // MARK: What became of it

  /// Kept under an idempotency key of topic 0, whose content names the event's topic: so it is in the transaction that
  /// decides, and is forgotten in time.
  private enum Fate: UInt64 { case held = 1, delivered, cancelled }
  static let cancelledFate = Fate.cancelled.rawValue

  private func note(_ fate: Fate, hash: UInt64, in topic: TopicID, until: Int64) throws(LogError) {
    try log.put(
      StoredKey(
        hash: log.identity.hash(ofHeld: hash), content: UInt64(topic), offset: fate.rawValue, accepted: moment.wall,
        until: until),
      topic: 0)
    turn.hasWrites = true
  }

  private func fate(hash: UInt64, in topic: TopicID) throws(LogError) -> Fate? {
    guard let key = try log.key(topic: 0, hash: log.identity.hash(ofHeld: hash)), counts(key),
      key.content == UInt64(topic)
    else { return nil }
    return Fate(rawValue: key.offset)
  }

  /// Where the event is or was held.
  private func topic(of cancel: CancelDelayed, hash: UInt64) throws(LogError) -> (TopicID, Topic)? {
    if let topic = Topic(cancel.topic) {
      return try log.topic(named: topic.name).map { ($0.id, topic) }
    }
    guard let key = try log.key(topic: 0, hash: log.identity.hash(ofHeld: hash)), counts(key),
      let name = try log.name(of: TopicID(key.content)), let topic = Topic(name)
    else { return nil }
    return (TopicID(key.content), topic)
  }
}
