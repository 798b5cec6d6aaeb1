import AvaloCore
import AvaloReactor
import AvaloWire

// What happens to those who are behind: read → page → live.
extension Hub {

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

  func park(_ index: UInt32, _ connection: ConnectionID) {
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
}
