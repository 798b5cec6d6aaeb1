import AvaloCore
import AvaloReactor
import AvaloWire

// deliver → fan → settle, and what happens to those who are behind: read → page → live.
extension Hub {

  // MARK: - Live

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

  // MARK: - Behind

  /// Everybody who is behind in this topic and waits for nothing reads on. Some may become live at once.
  func readOnAll(_ topic: WatchedTopic) {
    // Backwards: one that becomes live is replaced in its place by one that was looked at.
    var place = Int(topic.waiting.count) - 1
    while place >= 0 {
      readOn(topic.waiting[place])
      place -= 1
    }
  }

  /// The next step of a subscription that is behind: live when it has reached the position, else one page from the log.
  func readOn(_ index: UInt32) {
    guard subscriptions[index].state == .behind, !subscriptions[index].reading, !subscriptions[index].parked else {
      return
    }
    let topic = topic(of: index)
    // Without a link the position is not to be trusted: `Watched` starts it again.
    guard topic.state == .watched else { return }
    guard subscriptions[index].cursor < topic.position.offset else { return goLive(index, topic) }
    let connection = subscriptions[index].connection
    guard writer.backlog(connection) <= policy.limits.backlogBytesMax else { return park(index, connection) }
    subscriptions[index].reading = true
    let key = ReadKey(topic: topic.index, after: subscriptions[index].cursor)
    if reads.add(index, to: key) { reads.enqueue(key) }
    sendReads()
  }

  func sendReads() {
    while let key = reads.next() {
      guard let topic = topics[Int(key.topic)] else { preconditionFailure("a read of topic \(key.topic) that is gone") }
      metrics.reads.add(1)
      toScheduler.frame(
        Read(
          topic: topic.topic, epoch: topic.position.epoch, after: key.after, upTo: topic.position.offset,
          bytesMax: HubLimits.readPageBytes),
        correlation: requests.insert(.read(key), loop: loop))
    }
  }

  private func park(_ index: UInt32, _ connection: ConnectionID) {
    subscriptions[index].parked = true
    metrics.parked.add(1)
    notePark(index, connection)
    parkedThisTurn.append(connection)
  }

  /// One page of a topic's log, for all who asked from the same place.
  func read(_ key: ReadKey, _ result: ReadResult) {
    let waiting = reads.finish(key)
    defer { sendReads() }
    guard let topic = topics[Int(key.topic)] else { return }
    for index in waiting { subscriptions[index].reading = false }
    // The log was rewound meanwhile: the new heads, which are on their way, say where to go on.
    guard result.epoch == topic.position.epoch, topic.state == .watched, result.through > key.after else { return }
    let page = page(result, after: key.after, of: topic, without: [])
    for index in waiting {
      write(page, through: result.through, to: index) {
        self.page(result, after: key.after, of: topic, without: $0)
      }
    }
  }

  /// The read did not succeed. A foreign epoch is followed by new heads; anything else is tried again with the next tick.
  func readFailed(_ key: ReadKey, _ failure: Failed) {
    for index in reads.finish(key) { subscriptions[index].reading = false }
    log.debug("read failed", metadata: ["code": "\(failure.code)", "message": "\(failure.message)"])
    sendReads()
  }

  /// Whoever is behind without reading or being parked: their read failed, or its answer did not fit.
  func retryReads() {
    for case let topic? in topics where topic.state == .watched && !topic.waiting.isEmpty { readOnAll(topic) }
  }

  /// A page as frames in the arena, and the events it holds.
  private struct Page {
    var frames: UnsafeRawBufferPointer
    var delivered: [DeliveredEvent]
    var missed: MissedEvents
  }

  private struct DeliveredEvent {
    var type: EventType
    var acceptedMicroseconds: Int64
  }

  private func write(_ shared: Page, through: UInt64, to index: UInt32, _ own: ([UInt64]) -> Page) {
    // Between the request and the answer a reader may only have left, which took it out of the list.
    let session = sessions[Int(subscriptions[index].connection.slot)]!
    let overtaken = ahead[index] ?? []
    let page = overtaken.isEmpty ? shared : own(overtaken)
    if !page.frames.isEmpty {
      writer.queue(session.connection, page.frames)
      noteProgress(session.connection)
    }
    metrics.missed(page.missed)
    let now = page.delivered.isEmpty ? 0 : clock.microseconds
    for event in page.delivered {
      metrics.delivered(event.type, .replay).add(1)
      metrics.replaySeconds.observe(microseconds: now - event.acceptedMicroseconds, count: 1)
    }
    subscriptions[index].cursor = through
    if !overtaken.isEmpty {
      let rest = overtaken.filter { $0 > through }
      ahead[index] = rest.isEmpty ? nil : rest
    }
    readOn(index)
  }

  /// Builds the frames of a page: each event, with what was skipped before it; a gap when nothing follows.
  private func page(_ result: ReadResult, after: UInt64, of topic: WatchedTopic, without overtaken: [UInt64]) -> Page {
    var frames = FrameRun(writer: writer)
    var delivered: [DeliveredEvent] = []
    var missed = MissedEvents()
    var previous = after
    result.forEachRow { offset, record in
      let isOvertaken = overtaken.contains(offset)
      guard offset > previous, isOvertaken || !isExpired(record) else { return }
      var holes = holes(after: previous, before: offset, floor: result.floor)
      for hole in holes { missed.add(hole) }
      let skipped = isOvertaken ? nil : holes.popLast()
      for hole in holes { tell(hole, of: topic, in: &frames) }
      if !isOvertaken {
        text.clear()
        text.event(
          record, topic: topic.topic, offset: offset, epoch: previous == after ? result.epoch : nil, skipped: skipped)
        text.bytes.withUnsafeBytes { frames.append($0) }
        delivered.append(DeliveredEvent(type: record.type, acceptedMicroseconds: record.acceptedMicroseconds))
      }
      previous = offset
    }
    for hole in holes(after: previous, before: result.through + 1, floor: result.floor) {
      missed.add(hole)
      tell(hole, of: topic, in: &frames)
    }
    return Page(frames: frames.bytes, delivered: delivered, missed: missed)
  }

  /// The offsets between two events: evicted up to the floor, expired above it.
  private func holes(after previous: UInt64, before offset: UInt64, floor: UInt64) -> [Hole] {
    let (from, to) = (previous + 1, offset - 1)
    guard from <= to else { return [] }
    if to <= floor { return [Hole(from: from, to: to, reason: .evicted)] }
    if from > floor { return [Hole(from: from, to: to, reason: .expired)] }
    return [
      Hole(from: from, to: floor, reason: .evicted), Hole(from: floor + 1, to: to, reason: .expired),
    ]
  }

  private func tell(_ hole: Hole, of topic: WatchedTopic, in frames: inout FrameRun) {
    text.clear()
    text.gap(topic.topic, hole)
    metrics.gaps(hole.reason).add(1)
    text.bytes.withUnsafeBytes { frames.append($0) }
  }

  /// The subscription's cursor equals the topic's position: from now on it gets each event as it arrives.
  func goLive(_ index: UInt32, _ topic: WatchedTopic) {
    // This first: the frames of this turn are for those who were live when they came.
    settle(topic)
    ahead[index] = nil
    move(index, to: .live)
    send(sessions[Int(subscriptions[index].connection.slot)]!) { $0.live(topic.topic, topic.position) }
    noteProgress(subscriptions[index].connection)
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
  private func isExpired(_ record: EventRecord) -> Bool {
    record.expiresMilliseconds > 0 && record.expiresMilliseconds <= clock.milliseconds
  }

  /// The frame text as one frame in the arena.
  private func arenaFrame() -> UnsafeRawBufferPointer {
    var frames = FrameRun(writer: writer)
    text.bytes.withUnsafeBytes { frames.append($0) }
    return frames.bytes
  }
}
