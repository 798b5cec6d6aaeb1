import AvaloCore
import AvaloReactor
import AvaloWire

// deliver → fan → settle: an event on its way to those who are live. Those who are behind are Hub+Replay.swift's.
extension Hub {

  /// One committed event. A topic's event at or below its position was seen; the next one is written; a jump means that
  /// deliveries were lost, and puts the live sessions behind (delivery.md, rule 1).
  func deliver(_ delivery: Deliver) {
    for index in 0..<delivery.targetCount {
      let target = delivery.target(index)
      guard let topic = topic(handle: target.handle), topic.state == .watched, target.offset > topic.position.offset
      else { continue }
      deliver(delivery.record, at: target.offset, to: topic)
    }
  }

  private func deliver(_ record: EventRecord, at offset: UInt64, to topic: WatchedTopic) {
    guard offset == topic.position.offset + 1 else { return jump(topic, to: offset) }
    fan(record, at: offset, to: topic)
    topic.position.offset = offset
    topic.newestAcceptedMicroseconds = record.acceptedMicroseconds
    if !typing.isEmpty, record.type == .chatMessage { endTyping(with: record, in: topic) }
    if record.priority == .urgent, !topic.waiting.isEmpty { overtake(record, at: offset, in: topic) }
  }

  /// Appends the event's frame to what the topic's live sessions get this turn.
  private func fan(_ record: EventRecord, at offset: UInt64, to topic: WatchedTopic) {
    guard !topic.live.isEmpty else { return }
    text.clear()
    let isExpired = isExpired(record)
    if isExpired {
      text.gap(topic.topic, Hole(from: offset, to: offset, reason: .expired))
      metrics.gaps(.expired).add(Int(topic.live.count))
      metrics.missed(MissedEvents(expired: Int(topic.live.count)))
    } else {
      text.event(record, topic: topic.topic, offset: offset)
    }
    let frames = text.bytes.withUnsafeBytes { append($0, to: topic) }
    if !isExpired {
      deliveries.append(
        LiveDelivery(type: record.type, acceptedMicroseconds: record.acceptedMicroseconds, frames: frames))
    }
  }

  /// Answers which of the turn's frames it went to.
  private func append(_ payload: UnsafeRawBufferPointer, to topic: WatchedTopic) -> Int {
    let need = payload.count + writer.framing.overheadBytes(payload.count)
    if topic.frames == TurnFrames.none {
      topic.frames = UInt32(turnFrames.count)
      turnFrames.append(
        TurnFrames(topic: topic.index, start: writer.allocate(need), capacity: need, base: topic.position.offset))
    }
    let place = Int(topic.frames)
    if turnFrames[place].count + need > turnFrames[place].capacity { grow(&turnFrames[place], by: need) }
    turnFrames[place].count += writer.framing.write(payload, at: turnFrames[place].start! + turnFrames[place].count)
    return place
  }

  private func grow(_ frames: inout TurnFrames, by need: Int) {
    if writer.extend(frames.start!, from: frames.capacity, by: need) {
      frames.capacity += need
      return
    }
    let capacity = frames.capacity * 2 + need
    let bigger = writer.allocate(capacity)
    bigger.copyMemory(from: frames.start!, byteCount: frames.count)
    frames.start = bigger
    frames.capacity = capacity
  }

  /// Gives this turn's frames to the live sessions. Done before the set of live sessions changes, and at the turn's end: so
  /// a session that joins gets nothing twice, and one that leaves has got all it was counted for.
  func settle(_ topic: WatchedTopic) {
    guard topic.frames != TurnFrames.none else { return }
    let which = Int(topic.frames)
    let frames = turnFrames[which]
    turnFrames[which].start = nil
    topic.frames = TurnFrames.none
    let isTold = face == .eventStream
    // A burst may find everybody's outbox empty and be more than it holds: it is in the log as well.
    let burstBytesMax = writer.settings.outboxBytesMax / 2
    // Backwards: a session that parks is replaced in its place by one that was already served.
    var place = Int(topic.live.count) - 1
    while place >= 0 {
      let index = topic.live[place]
      place -= 1
      let connection = subscriptions[index].connection
      let backlog = writer.backlog(connection)
      if backlog > policy.limits.backlogBytesMax || backlog + frames.count > burstBytesMax {
        move(index, to: .behind)
        subscriptions[index].cursor = frames.base
        park(index, connection)
      } else {
        writer.queue(connection, frames.bytes)
        if isTold { noteProgress(connection) }
      }
    }
    // Who was parked is gone from the list, and gets them from the log.
    turnFrames[which].served = Int(topic.live.count)
  }

  /// An urgent event is written at once to sessions that are still replaying; the replay leaves it out.
  private func overtake(_ record: EventRecord, at offset: UInt64, in topic: WatchedTopic) {
    guard !isExpired(record) else { return }
    text.clear()
    text.event(record, topic: topic.topic, offset: offset, epoch: topic.position.epoch, ahead: true)
    let frame = arenaFrame()
    for place in 0..<Int(topic.waiting.count) {
      let index = topic.waiting[place]
      guard subscriptions[index].state == .behind else { continue }
      let connection = subscriptions[index].connection
      guard ahead[index, default: []].count < HubLimits.aheadMax,
        writer.backlog(connection) <= policy.limits.backlogBytesMax
      else { continue }
      ahead[index, default: []].append(offset)
      writer.queue(connection, frame)
      metrics.delivered(record.type, .live).add(1)
    }
  }

  /// Deliveries were lost between the position and `offset`: everybody who was live reads on from the log.
  func jump(_ topic: WatchedTopic, to offset: UInt64) {
    settle(topic)
    let base = topic.position.offset
    topic.position.offset = offset
    topic.newestAcceptedMicroseconds = 0
    while !topic.live.isEmpty {
      let index = topic.live[0]
      move(index, to: .behind)
      subscriptions[index].cursor = base
    }
    readOnAll(topic)
  }

  // MARK: - Helpers

  /// Moves a subscription to another of its topic's lists.
  func move(_ index: UInt32, to state: Subscription.State) {
    let topic = topic(of: index)
    unlist(index, topic)
    subscriptions[index].state = state
    if state != .behind {
      behindSince[index] = nil
    } else if behindSince[index] == nil {
      behindSince[index] = writer.nowSeconds
    }
    switch state {
    case .joining, .behind: subscriptions[index].place = topic.waiting.append(index)
    case .live: subscriptions[index].place = topic.live.append(index)
    case .free: preconditionFailure("a subscription is freed by the slab")
    }
  }

  /// Takes a subscription out of the list of its state.
  func unlist(_ index: UInt32, _ topic: WatchedTopic) {
    let place = subscriptions[index].place
    let moved: UInt32? =
      switch subscriptions[index].state {
      case .joining, .behind: topic.waiting.remove(at: place)
      case .live: topic.live.remove(at: place)
      case .free: preconditionFailure("subscription \(index) is free")
      }
    if let moved { subscriptions[moved].place = place }
  }

  func topic(handle: UInt32) -> WatchedTopic? {
    let index = Int(handle & WatchedTopic.indexMax)
    return handle >> 24 == UInt32(loop) && index < topics.count ? topics[index] : nil
  }

  /// TTL is checked again at the moment of writing.
  func isExpired(_ record: EventRecord) -> Bool {
    record.expiresMilliseconds > 0 && record.expiresMilliseconds <= clock.milliseconds
  }

  /// The frame text as one frame in the arena.
  private func arenaFrame() -> UnsafeRawBufferPointer {
    var frames = FrameRun(writer: writer)
    text.bytes.withUnsafeBytes { frames.append($0) }
    return frames.bytes
  }
}
