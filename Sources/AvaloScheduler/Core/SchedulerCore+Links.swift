import AvaloCore
import AvaloStore
import AvaloWire

// Gateways: their links, what they watch, and what they are sent.
extension SchedulerCore {
  // MARK: Links

  func open(_ id: LinkID, instance: String, incarnation: UInt64, isGateway: Bool, gauge: LinkGauge) {
    // One link to one life of a gateway: the older one is dead, or will be.
    for case let older? in links where older.incarnation == incarnation {
      turn.cuts.append((older.id, "a newer link of \(instance)"))
      close(older.id)
    }
    let place = freeLinks.popLast() ?? Int32(links.count)
    let link = LinkState(
      id: id, place: place, instance: instance, incarnation: incarnation, isGateway: isGateway, gauge: gauge)
    if Int(place) == links.count { links.append(link) } else { links[Int(place)] = link }
    linkPlaces[id] = place
    if isGateway { beginAccess(link) }
    metrics.links.set(linkPlaces.count)
  }

  func close(_ id: LinkID) {
    guard let link = state(of: id) else { return }
    for (handle, topic) in link.handles { removeWatcher(link, handle, topic) }
    for session in Array(link.sessions.values) { close(session: session, of: link) }
    link.handles.removeAll()
    linkPlaces[id] = nil
    links[Int(link.place)] = nil
    turn.closedLinks.append(link.place)
    turn.openedSessions.removeAll { $0.link === link }
    postponed.removeAll { $0.link === link }
    access.confirmations.closed(id)
    leases.end(id)
    metrics.links.set(linkPlaces.count)
  }

  private func removeWatcher(_ link: LinkState, _ handle: UInt32, _ topic: Int32) {
    topics[topic].remove(Watcher(link: link.place, handle: handle))
    link.lagging.remove(handle)
    watchCount -= 1
  }

  // MARK: Watches

  /// A gateway that has more of a topic than the log does proves that the log was rewound: what follows must not be
  /// taken for what it has seen.
  func noticeRewind(_ commands: [Command]) {
    do throws(LogError) {
      for case .watch(_, _, let watch) in commands { try noticeRewind(watch.entries[...]) }
      for case .watch(_, _, let entries) in turn.boundary { try noticeRewind(entries) }
      guard isRewound else { return }
      if turn.isOpen { try log.commit() }
      turn.isOpen = false
      try log.mint(nowMilliseconds: moment.wall)
    } catch {
      // Whoever watches is answered when it works again, and compared again then.
      log.rollback()
      turn.isOpen = false
      beginFailing(error)
      return
    }
    isRewound = false
    logger.error(
      "the event log was rewound: a gateway has seen more than it holds",
      metadata: ["generation": "\(log.identity.generation)"])
    metrics.generation.set(Double(log.identity.generation))
    topics.invalidate(identity: log.identity)
    for case let link? in links { link.lagging.formUnion(link.handles.keys) }
  }

  private func noticeRewind(_ entries: ArraySlice<Watch.Entry>) throws(LogError) {
    for entry in entries where entry.position.epoch == log.identity.epoch(of: entry.topic.name) {
      let topic = try place(ofTopic: entry.topic.name)
      if entry.position.offset > topics[topic].head { isRewound = true }
    }
  }

  /// Answers watches where a commit has ended: events of this turn lie at or below the head that is told, later ones
  /// above.
  func answerWatches() throws(LogError) {
    // A head of the old epoch would hide the rewind for good.
    guard !isRewound else { return postponed += turn.boundary }
    for case let link? in links where !link.isStuck && !link.lagging.isEmpty { try sendLagged(link) }
    while turn.boundaryDone < turn.boundary.count {
      switch turn.boundary[turn.boundaryDone] {
      case .watch(let link, let correlation, let entries): try watch(link, correlation, entries)
      case .unwatch(let link, let correlation, let handles): unwatch(link, correlation, handles)
      case .latestSeen(let link, let correlation, let version): try tellMissed(link, correlation, above: version)
      }
      turn.boundaryDone += 1
    }
    // Heads may have been read for this.
    if turn.isOpen { try log.commit() }
    turn.isOpen = false
  }

  private func watch(_ link: LinkState, _ correlation: UInt32, _ entries: ArraySlice<Watch.Entry>) throws(LogError) {
    guard links[Int(link.place)] === link else { return }
    var heads: [Head] = []
    heads.reserveCapacity(entries.count)
    for entry in entries {
      let topic = try place(ofTopic: entry.topic.name)
      if let before = link.handles.updateValue(topic, forKey: entry.handle) {
        removeWatcher(link, entry.handle, before)
      }
      topics[topic].add(Watcher(link: link.place, handle: entry.handle))
      watchCount += 1
      heads.append(head(of: topic, handle: entry.handle))
    }
    link.out.frame(Watched(heads: heads), correlation: correlation)
  }

  private func unwatch(_ link: LinkState, _ correlation: UInt32, _ handles: [UInt32]) {
    guard links[Int(link.place)] === link else { return }
    for handle in handles {
      guard let topic = link.handles.removeValue(forKey: handle) else { continue }
      removeWatcher(link, handle, topic)
    }
    link.out.frame(Unwatched(handles: handles), correlation: correlation)
  }

  private func head(of topic: Int32, handle: UInt32) -> Head {
    Head(
      handle: handle, position: Position(epoch: topics[topic].epoch, offset: topics[topic].head),
      floor: topics[topic].floor)
  }

  // MARK: Back-pressure

  /// Finds out which links are full and which have drained.
  func noticeBacklogs() {
    for case let link? in links {
      let backlog = link.gauge.backlogBytes
      if link.isStuck {
        if backlog <= SchedulerLimits.linkBacklogBytesDrained { link.isStuck = false }
      } else if backlog > settings.linkBacklogBytesMax {
        stick(link)
      }
    }
  }

  private func stick(_ link: LinkState) {
    link.isStuck = true
    metrics.lagged.add()
    logger.warning(
      "gateway is too slow, its events wait in the log",
      metadata: ["gateway": "\(link.instance)", "backlog_bytes": "\(link.gauge.backlogBytes)"])
  }

  /// Tells a link where the topics are of which it missed events.
  private func sendLagged(_ link: LinkState) throws(LogError) {
    var heads: [Head] = []
    heads.reserveCapacity(link.lagging.count)
    for handle in link.lagging {
      guard let topic = link.handles[handle] else { continue }
      _ = try place(ofTopic: topics[topic].name)
      heads.append(head(of: topic, handle: handle))
    }
    link.lagging.removeAll()
    for start in stride(from: 0, to: heads.count, by: WireLimits.batchEntriesMax) {
      let end = min(heads.count, start + WireLimits.batchEntriesMax)
      link.out.frame(Lagged(heads: Array(heads[start..<end])))
    }
  }

  // MARK: Delivering

  /// Sends the turn's events: each to every link that watches its topic, in one frame per link. In offset order within a
  /// topic; topics with something urgent first.
  func deliver() {
    guard !turn.deliveries.isEmpty else { return }
    orderByPriority()
    var touched: [LinkState] = []
    var next = 0
    while next < turn.deliveries.count {
      let record = turn.deliveries[next].record
      touched.removeAll(keepingCapacity: true)
      // A broadcast is many deliveries of one record in a row.
      while next < turn.deliveries.count, turn.deliveries[next].record == record {
        gather(turn.deliveries[next], &touched)
        next += 1
      }
      for link in touched { send(turn.records[Int(record)], link) }
    }
  }

  private func gather(_ delivery: Delivery, _ touched: inout [LinkState]) {
    topics[delivery.topic].forEachWatcher { watcher in
      guard let link = links[Int(watcher.link)] else { return }
      if link.isStuck {
        link.lagging.insert(watcher.handle)
      } else {
        if link.targets.isEmpty { touched.append(link) }
        link.targets.append(Deliver.Target(handle: watcher.handle, offset: delivery.offset))
      }
    }
  }

  private func send(_ record: [UInt8], _ link: LinkState) {
    for start in stride(from: 0, to: link.targets.count, by: WireLimits.batchEntriesMax) {
      let end = min(link.targets.count, start + WireLimits.batchEntriesMax)
      Deliver.write(record: record, targets: link.targets[start..<end], into: &link.out)
    }
    link.targets.removeAll(keepingCapacity: true)
    // One turn may fill a link by itself; what is written is whole, what follows waits.
    if link.out.count + link.gauge.backlogBytes > settings.linkBacklogBytesMax { stick(link) }
  }

  private func orderByPriority() {
    guard let first = turn.deliveries.first?.priority, turn.deliveries.contains(where: { $0.priority != first }) else {
      return
    }
    var ofTopic: [Int32: Priority] = [:]
    for delivery in turn.deliveries {
      ofTopic[delivery.topic] = max(ofTopic[delivery.topic] ?? .low, delivery.priority)
    }
    // Within one priority the order of arrival, and so within a topic the order of offsets.
    var ordered: [Delivery] = []
    ordered.reserveCapacity(turn.deliveries.count)
    for priority in Priority.allCases.reversed() {
      ordered += turn.deliveries.filter { ofTopic[$0.topic] == priority }
    }
    turn.deliveries = ordered
  }
}

extension BoundaryWork {
  var link: LinkState {
    switch self {
    case .watch(let link, _, _), .unwatch(let link, _, _), .latestSeen(let link, _, _): link
    }
  }
}
