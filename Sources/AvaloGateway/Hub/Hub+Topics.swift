import AvaloCore
import AvaloWire

// What this loop watches at the scheduler: asked for with the first subscriber, given up after the last.
extension Hub {

  /// Adds a subscription that waits for its cursor and its topic's head. The topic is watched before anything is read:
  /// nothing that is appended from now on can be missed.
  func join(_ session: Session, _ name: Topic, ifMember: Bool, presented: Position?) -> UInt32 {
    let topic = find(name) ?? watch(name)
    var subscription = Subscription(state: .joining)
    subscription.connection = session.connection
    subscription.topic = topic.index
    subscription.isByMembership = ifMember
    subscription.next = session.firstSubscription
    let index = subscriptions.insert(subscription)
    joining[index] = Subscription.Joining(presented: presented)
    session.firstSubscription = index
    session.subscriptionCount += 1
    subscriptions[index].place = topic.waiting.append(index)
    metrics.subscriptions.add(1)
    return index
  }

  /// Ends a subscription; the caller has unlinked it from its session or is about to forget the session.
  func leave(_ index: UInt32) {
    let topic = topic(of: index)
    // What was fanned out before it left is still its own.
    if subscriptions[index].state == .live { settle(topic) }
    if subscriptions[index].reading {
      reads.remove(index, from: ReadKey(topic: subscriptions[index].topic, after: subscriptions[index].cursor))
    }
    unlist(index, topic)
    ahead[index] = nil
    joining[index] = nil
    behindSince[index] = nil
    subscriptions.remove(index)
    metrics.subscriptions.add(-1)
    if !topic.hasSubscribers { unwatch(topic) }
  }

  /// The topic of that name, if anybody here subscribes to it.
  func find(_ name: Topic) -> WatchedTopic? {
    var name = name.name
    return name.withUTF8 { find(UnsafeRawBufferPointer($0)) }
  }

  func find(_ name: UnsafeRawBufferPointer) -> WatchedTopic? {
    topicIndex.first(HashIndex.hash(name)) { topics[Int($0)]?.topic.name.utf8.elementsEqual(name) ?? false }
      .flatMap { topics[Int($0)] }
  }

  private func watch(_ name: Topic) -> WatchedTopic {
    let index = freeTopics.popLast() ?? UInt32(topics.count)
    if Int(index) == topics.count { topics.append(nil) }
    precondition(index <= WatchedTopic.indexMax, "handles of a loop have 24 bits")
    let topic = WatchedTopic(topic: name, handle: UInt32(loop) << 24 | index)
    topics[Int(index)] = topic
    topicIndex.insert(index, hash: hash(of: topic))
    if schedulerIsUp { ask(for: topic) }
    return topic
  }

  private func hash(of topic: WatchedTopic) -> UInt32 {
    var name = topic.topic.name
    return name.withUTF8 { HashIndex.hash(UnsafeRawBufferPointer($0)) }
  }

  private func ask(for topic: WatchedTopic) {
    topic.state = .watching
    watches.append(Watch.Entry(handle: topic.handle, topic: topic.topic, position: topic.position))
  }

  private func unwatch(_ topic: WatchedTopic) {
    topicIndex.remove(topic.index, hash: hash(of: topic))
    guard topic.state == .watching || topic.state == .watched else { return forget(topic) }
    topic.state = .leaving
    // A watch that has not left yet goes out before, so the order on the link stays true.
    unwatches.append(topic.handle)
  }

  private func forget(_ topic: WatchedTopic) {
    topics[Int(topic.index)] = nil
    freeTopics.append(topic.index)
  }

  /// The scheduler's last word about handles that were given up.
  func unwatched(_ handles: [UInt32]) {
    for handle in handles {
      guard let topic = topic(handle: handle), topic.state == .leaving else { continue }
      forget(topic)
    }
  }

  /// Where watched topics stand: the answer to a watch, or the news after deliveries were dropped.
  func heads(_ heads: [Head]) {
    for head in heads {
      guard let topic = topic(handle: head.handle), topic.state == .watching || topic.state == .watched else {
        continue
      }
      topic.state = .watched
      compare(topic, with: head.position)
    }
  }

  private func compare(_ topic: WatchedTopic, with head: Position) {
    if topic.position == .none {
      topic.position = head
    } else if topic.position.epoch != head.epoch || head.offset < topic.position.offset {
      rewind(topic, to: head)
    } else if head.offset > topic.position.offset {
      jump(topic, to: head.offset)
    } else {
      readOnAll(topic)
    }
    settleJoining(topic)
  }

  /// The log was lost or restored: everybody is told and goes on from their device's own cursor.
  private func rewind(_ topic: WatchedTopic, to head: Position) {
    settle(topic)
    topic.position = head
    topic.newestAcceptedMicroseconds = 0
    var affected: [UInt32] = []
    for place in 0..<Int(topic.live.count) { affected.append(topic.live[place]) }
    for place in 0..<Int(topic.waiting.count) where subscriptions[topic.waiting[place]].state == .behind {
      affected.append(topic.waiting[place])
    }
    for index in affected {
      if subscriptions[index].reading {
        reads.remove(index, from: ReadKey(topic: subscriptions[index].topic, after: subscriptions[index].cursor))
      }
      ahead[index] = nil
      subscriptions[index].reading = false
      subscriptions[index].parked = false
      joining[index] = Subscription.Joining()
      move(index, to: .joining)
      guard let session = sessions[Int(subscriptions[index].connection.slot)] else { continue }
      send(session) { $0.epochGap(topic.topic, head.epoch) }
      metrics.gaps(.epoch).add(1)
      askCursors(session, [Joiner(subscription: index, topic: topic.index)], done: nil)
    }
  }

  /// Those who waited for the head and have their cursor start now.
  private func settleJoining(_ topic: WatchedTopic) {
    // Backwards, as in `readOnAll`.
    var place = Int(topic.waiting.count) - 1
    while place >= 0 {
      start(topic.waiting[place])
      place -= 1
    }
  }

  /// Cursor and head are both known: decide where to begin.
  func start(_ index: UInt32) {
    guard subscriptions[index].state == .joining, let known = joining[index], let stored = known.stored else { return }
    let topic = topic(of: index)
    // Nothing is written before `ready`: who is registered may wait for their read state still, and is let in with it.
    guard topic.state == .watched, let session = sessions[Int(subscriptions[index].connection.slot)],
      session.stage == .ready
    else { return }
    let head = topic.position
    // What was said before is not theirs: they were no member.
    let hidden = min(max(1, known.since) - 1, head.offset)
    var stopped = stored.offset
    if let presented = known.presented {
      metrics.resumes(presented.epoch == head.epoch ? .recovered : .unrecovered).add(1)
      if presented.epoch == head.epoch {
        stopped = presented.offset
        acknowledgePresented(
          index, session, Position(epoch: head.epoch, offset: min(max(stopped, hidden), head.offset)))
      } else {
        send(session) { $0.epochGap(topic.topic, head.epoch) }
        metrics.gaps(.epoch).add(1)
      }
    }
    if hidden > stopped { tellHidden(session, topic, after: stopped, through: hidden) }
    joining[index] = nil
    subscriptions[index].cursor = min(max(stopped, hidden), head.offset)
    move(index, to: .behind)
    readOn(index)
  }

  // MARK: - The link

  func schedulerCameUp(_ link: UInt32) {
    schedulerLink = link
    cutRevoked()  // before they ask for anything
    for case let session? in sessions where session.stage == .attaching || session.stage == .ready { attach(session) }
    for case let topic? in topics { ask(for: topic) }
    watcherChats.linkMade()
    owesLatestSeen = true
  }

  /// Nothing arrives any more. Sessions stay; what was asked will be asked again.
  func schedulerWentDown() {
    schedulerLink = nil
    for done in requests.removeAll() { done(.failure(.schedulerAway)) }
    reads.removeAll()
    watches.removeAll()
    unwatches.removeAll()
    acknowledgements.removeAll()
    detached.removeAll()
    readQueries.removeAll()
    _ = toScheduler.take()
    for case let topic? in topics {
      for place in 0..<Int(topic.waiting.count) { subscriptions[topic.waiting[place]].reading = false }
      if topic.state == .leaving { forget(topic) } else { topic.state = .unwatched }
    }
    partnersLost()
  }

  /// Frames from the scheduler, in its order.
  func received(_ frames: UnsafeRawBufferPointer) {
    takeFrames(frames, from: "scheduler", break: { port.breakSchedulerLink(reason: $0) }) {
      (head, body) throws(WireError) in try received(head, body)
    }
  }

  private func received(_ head: Frame.Head, _ body: UnsafeRawBufferPointer) throws(WireError) {
    switch head.kind {
    case .deliver: deliver(try Deliver(body: body))
    case .watched: heads(try Watched(body: body).heads)
    case .lagged: heads(try Lagged(body: body).heads)
    case .unwatched: unwatched(try Unwatched(body: body).handles)
    case .attached: attached(head.correlation, try Attached(body: body).answers)
    case .readResult:
      guard case .read(let key)? = requests.remove(head.correlation) else { return }
      read(key, try ReadResult(body: body))
    case .readState: entered(head.correlation, try ReadState(body: body))
    case .latestAt: latestVersion = try LatestAt(body: body).version
    case .leaseLost: leaseLost(try LeaseLost(body: body))
    case .latest: latest(try Latest(body: body))
    case .failed: failed(head.correlation, try Failed(body: body))
    default: throw .unexpectedKind(head.kind.rawValue)
    }
  }

  private func failed(_ correlation: UInt32, _ failure: Failed) {
    switch requests.remove(correlation) {
    case .attach(let number, let slot, _): attachFailed(session(number, slot), failure)
    case .cursors(let number, let slot, let joiners, let done):
      cursorsFailed(session(number, slot), joiners, done, failure)
    case .read(let key): readFailed(key, failure)
    case .reads(let number, let slot): entered(session(number, slot), nil)
    // It hears where everybody stands when it comes again.
    case .receipts, nil: break
    }
  }

  /// Sends what the turn gathered: one batch of each kind, all in one mail.
  func sendGathered() {
    if let schedulerLink {
      writeAcknowledgements()
      for batch in watches.batches() { toScheduler.frame(Watch(entries: batch)) }
      // Behind the watches: a receipt is in what is counted, or comes by a watch.
      for (query, correlation) in readQueries { toScheduler.frame(query, correlation: correlation) }
      readQueries.removeAll(keepingCapacity: true)
      for batch in unwatches.batches() { toScheduler.frame(Unwatch(handles: batch)) }
      for batch in detached.batches() { toScheduler.frame(Detach(sessions: batch)) }
      // Where nothing is watched, nothing was missed.
      if owesLatestSeen, !watches.isEmpty {
        toScheduler.frame(LatestSeen(version: latestVersion), correlation: UInt32(loop) << 24)
        owesLatestSeen = false
      }
      if !toScheduler.isEmpty { port.toScheduler(toScheduler.take(), link: schedulerLink) }
    }
    watches.removeAll(keepingCapacity: true)
    unwatches.removeAll(keepingCapacity: true)
    // Without a link there is nobody to tell: the client acknowledges again what it is sent again.
    acknowledgements.removeAll(keepingCapacity: true)
    detached.removeAll(keepingCapacity: true)
    for batch in opened.batches() { toPresence.frame(Sessions(entries: batch)) }
    for batch in closedSessions.batches() { toPresence.frame(SessionsClosed(entries: batch)) }
    opened.removeAll(keepingCapacity: true)
    closedSessions.removeAll(keepingCapacity: true)
    writePresenceWatches()
    if !toPresence.isEmpty { port.toPresence(toPresence.take(), snapshotEnds: false) }
  }

  /// Writes what was acknowledged before whatever the turn sends next: a handle that is given up means nothing any more,
  /// and a cursor that is asked for is to know of it.
  func writeAcknowledgements() {
    for batch in acknowledgements.batches() { toScheduler.frame(Acknowledge(entries: batch)) }
    acknowledgements.removeAll(keepingCapacity: true)
  }
}

extension Array {
  /// The elements in runs of at most ``HubLimits/batchMax``; none when empty.
  func batches() -> [[Element]] {
    if isEmpty { return [] }
    if count <= HubLimits.batchMax { return [self] }
    return stride(from: 0, to: count, by: HubLimits.batchMax).map {
      Array(self[$0..<Swift.min($0 + HubLimits.batchMax, count)])
    }
  }
}
