import AvaloMetrics
import AvaloStore
import AvaloWire

// Acknowledgements, and all that is done between turns: each piece bounded, in a transaction of its own.
extension SchedulerCore {
  // MARK: Acknowledging

  /// Moves cursors, in memory: never back, never beyond the head, only in the present epoch.
  func acknowledge(_ acknowledge: Acknowledge, _ link: LinkState) {
    for entry in acknowledge.entries {
      guard let session = link.sessions[entry.session], let topic = link.handles[entry.handle],
        entry.position.epoch == topics[topic].epoch
      else { continue }
      // Where the head is not known now, it is when the cursor is written.
      let offset = topics[topic].isLoaded ? min(entry.position.offset, topics[topic].head) : entry.position.offset
      let device = devices.withSession(session) { state -> Int32? in
        guard let index = state.index(ofTopic: topic), state.cursors[index].offset < offset else { return nil }
        state.cursors[index].offset = offset
        state.cursors[index].isDirty = true
        return state.device
      }
      guard let device else { continue }
      metrics.acknowledged.add()
      queue(device)
    }
  }

  /// Of a device that lost a session: what is left says where it is.
  func markDirty(_ device: Int32, topic: Int32) {
    for session in devices.device(device).sessions {
      devices.withSession(session) { state in
        if let index = state.index(ofTopic: topic) { state.cursors[index].isDirty = true }
      }
    }
    queue(device)
  }

  func queue(_ device: Int32) {
    guard devices.device(device).id >= 0 else { return }
    let isNew = devices.withDevice(device) { state in
      defer { state.isQueued = true }
      return !state.isQueued
    }
    if isNew { dirtyDevices.append(devices.device(device).id) }
  }

  // MARK: Between turns

  /// Does one bounded piece of what waits. `isIdle` says that no command does: with a backlog only as much is done as
  /// keeps up with what is appended. Returns whether more is waiting.
  public func housekeep(isIdle: Bool, at now: Moment) -> Bool {
    moment = now
    guard health == .healthy else { return false }
    do throws(LogError) {
      if isDueStale {
        nextDue = try log.nextDue()
        isDueStale = false
      }
      if moment.monotonic >= nextSecond { try eachSecond() }
      let budget = appendedSinceChunk
      if isIdle || budget >= StoreLimits.chunkRows / SchedulerLimits.maintenanceShare {
        appendedSinceChunk = 0
        try chunk()
      }
      if isIdle || isMerging || budget > 0 {
        let rows = max(SchedulerLimits.maintenanceRowsIdle, SchedulerLimits.maintenanceShare * budget)
        isMerging = try log.maintain(rows: rows, before: clock.deletionTime(moment))
      }
    } catch {
      log.rollback()
      turn.isOpen = false
      beginFailing(error)
      topics.invalidate(identity: log.identity)
      return false
    }
    return isMerging || isExpiring || !flushQueue.isEmpty || !trimQueue.isEmpty || !access.erasures.isEmpty
      || logFollowers.mayDrop
  }

  /// When the next turn is due though nobody asks for one, monotonic milliseconds.
  public var deadline: Int64 {
    var deadline = nextSecond
    if case .failing(let until) = health { return max(moment.monotonic, until) }
    if isDueStale { return moment.monotonic }
    if broadcasts.isServing { return moment.monotonic }
    if let settles = access.confirmations.deadline { deadline = min(deadline, settles) }
    if let nextDue {
      deadline = min(deadline, moment.monotonic + max(0, nextDue - clock.deletionTime(moment)))
    }
    return deadline
  }

  private func eachSecond() throws(LogError) {
    nextSecond = moment.monotonic + SchedulerLimits.flushMilliseconds
    isExpiring = true
    tickets.forget(nowMilliseconds: moment.monotonic)
    try dropAbandonedBroadcasts()
    topics.forgetIdle(beyond: SchedulerLimits.idleTopicsMax + watchCount + devices.sessionCount)
    if flushQueue.isEmpty {
      // In the order of their rows: a thousand cursors are a few dozen pages.
      flushQueue = (dirtyDevices + parted.keys).sorted(by: >)
      dirtyDevices.removeAll(keepingCapacity: true)
    }
    try settleFollowers()
    if moment.monotonic >= nextDeviceSweep {
      nextDeviceSweep = moment.monotonic + SchedulerLimits.deviceSweepMilliseconds
      try transaction { () throws(LogError) in try noteClock() }
      try sweepDevices()
      try releaseRevocations()
      try releaseFinishedBroadcasts()
      statistics = try log.statistics()
    }
    showFigures()
  }

  /// So that a restart knows what time it should be.
  private func noteClock() throws(LogError) {
    try log.note(ClockMark(trusted: clock.deletionTime(moment), monotonic: moment.monotonic))
  }

  private func chunk() throws(LogError) {
    if !trimQueue.isEmpty {
      try trim()
    } else if !access.erasures.isEmpty {
      try eraseSome()
    } else if !flushQueue.isEmpty {
      try flush()
    } else if logFollowers.mayDrop {
      try dropFollowed()
    } else if isExpiring {
      try expire()
    }
  }

  func transaction(_ body: () throws(LogError) -> Void) throws(LogError) {
    try ensureTransaction()
    try body()
    try log.commit()
    turn.isOpen = false
  }

  // MARK: Writing cursors back

  private func flush() throws(LogError) {
    let chunk = flushQueue.suffix(StoreLimits.chunkRows)
    try transaction { () throws(LogError) in
      for device in chunk { try flush(device) }
    }
    for device in chunk {
      parted[device] = nil
      guard let place = devices.place(of: device) else { continue }
      devices.withDevice(place) { $0.isQueued = false }
      for session in devices.device(place).sessions {
        devices.withSession(session) { state in
          for index in state.cursors.indices {
            let isNumbered = state.cursors[index].isDirty && hasRow(state.cursors[index].topic)
            if isNumbered { state.cursors[index].isAwaited = false }
            state.cursors[index].isDirty = false
          }
        }
      }
    }
    flushQueue.removeLast(chunk.count)
  }

  private func flush(_ device: DeviceID) throws(LogError) {
    if let parted = parted[device] {
      for cursor in parted.cursors { try log.put(cursor, device: device) }
      for awaited in parted.renamed { try log.forget(cursor: awaited, device: device) }
      if let seen = parted.seen { try log.touch(device: device, platform: nil, seen: seen) }
    }
    guard let place = devices.place(of: device) else { return }
    for session in devices.device(place).sessions {
      for cursor in devices.session(session).cursors where cursor.isDirty {
        guard let offset = devices.cursor(ofDevice: place, topic: cursor.topic) else { continue }
        let topic = try self.place(ofTopic: topics[cursor.topic].name)
        try log.put(
          StoredCursor(topic: number(of: topic), offset: min(offset, topics[topic].head), used: moment.wall),
          device: device)
        guard cursor.isAwaited, hasRow(topic) else { continue }
        try log.forget(cursor: log.identity.awaited(topics[topic].name), device: device)
      }
    }
  }

  // MARK: Expiry and bounds

  private func expire() throws(LogError) {
    let before = clock.deletionTime(moment)
    var removed = Removed()
    try transaction { () throws(LogError) in removed = try log.expire(before: before) }
    count(removed, metrics.expired)
    isExpiring = removed.rows >= StoreLimits.chunkRows
  }

  /// A topic that has grown over a bound by a share is trimmed to the bound, later.
  func queueForTrimming(_ topic: Int32) {
    guard !topics[topic].isQueuedForTrimming else { return }
    let rule = rules[topics[topic].rule]
    let window = topics[topic].head - topics[topic].floor
    let isLong = window > rule.eventsMax + rule.eventsMax / UInt64(SchedulerLimits.retentionSlackShare)
    // Bytes are counted only where they could be too many.
    let isHeavy =
      topics[topic].bytes < 0
      ? window > UInt64(rule.bytesMax / SchedulerLimits.recordBytesMax)
        && window.isMultiple(of: UInt64(StoreLimits.chunkRows))
      : topics[topic].bytes > rule.bytesMax + rule.bytesMax / SchedulerLimits.retentionSlackShare
    guard isLong || isHeavy else { return }
    topics[topic].isQueuedForTrimming = true
    topics[topic].holds += 1
    trimQueue.append(topic)
  }

  private func trim() throws(LogError) {
    guard let topic = trimQueue.last else { return }
    var isDone = true
    var removed = Removed()
    try transaction { () throws(LogError) in
      let state = topics[try place(ofTopic: topics[topic].name)]
      guard state.head > 0 else { return }
      let rule = rules[state.rule]
      // What expired meanwhile was not counted down: ask before anything is taken.
      let bytes = state.bytes < 0 || state.bytes > rule.bytesMax ? try log.bytes(of: state.id) : state.bytes
      let target = state.head > rule.eventsMax ? state.head - rule.eventsMax : 0
      topics[topic].bytes = bytes
      guard target > state.floor || bytes > rule.bytesMax else { return }
      let (floor, gone) = try log.evict(topic: state.id, upTo: target, freeing: max(0, bytes - rule.bytesMax))
      removed = gone
      // A failed commit has all of it read again.
      topics[topic].floor = floor
      topics[topic].bytes = bytes - gone.bytes
      isDone = gone.rows < StoreLimits.chunkRows
    }
    count(removed, metrics.evicted)
    guard isDone else { return }
    trimQueue.removeLast()
    topics[topic].isQueuedForTrimming = false
    topics[topic].holds -= 1
  }

  private func count(_ removed: Removed, _ counters: [Counter?]) {
    guard removed.rows > 0 else { return }
    for (type, count) in removed.byType.enumerated() where count > 0 { counters[type]?.add(count) }
  }

  // MARK: Devices nobody has seen

  private func sweepDevices() throws(LogError) {
    let rows = try log.devices(after: deviceHand)
    deviceHand = rows.count < StoreLimits.chunkRows ? 0 : rows.last?.id ?? 0
    let now = clock.deletionTime(moment)
    let worthIt = rows.filter { now - $0.seen >= SchedulerLimits.seenMilliseconds }
    guard !worthIt.isEmpty else { return }
    try transaction { () throws(LogError) in
      for row in worthIt {
        if devices.place(of: row.id) != nil {
          // Connected all the while.
          try log.touch(device: row.id, platform: nil, seen: now)
        } else if now - row.seen >= settings.deviceUnseenMilliseconds, parted[row.id]?.seen == nil {
          try log.forget(device: row.id)
          parted[row.id] = nil
        }
      }
    }
    for row in worthIt {
      guard let place = devices.place(of: row.id) else { continue }
      devices.withDevice(place) { $0.seen = now }
      noteUse(of: place)
    }
  }

  /// Connected all the while, it uses its cursors, however quiet it is: they are written back. A crash forgets no more of
  /// that than a pause between two such notes.
  private func noteUse(of device: Int32) {
    for session in devices.device(device).sessions {
      guard moment.wall - devices.session(session).quietSince >= settings.cursorUsedMilliseconds else { continue }
      devices.withSession(session) { state in
        state.quietSince = moment.wall
        for index in state.cursors.indices { state.cursors[index].isDirty = true }
      }
      queue(device)
    }
  }

  // MARK: Ending

  /// Writes everything back and closes the log in good order. Nothing may be called after.
  public func stop() throws(LogError) {
    dismissFollowers()
    try settleFollowers()
    flushQueue += (dirtyDevices + parted.keys).sorted(by: >)
    while !flushQueue.isEmpty { try flush() }
    try transaction { () throws(LogError) in try noteClock() }
    try log.close()
  }

  // MARK: Figures

  func showFigures() {
    metrics.topics.set(statistics.topics)
    metrics.bytes.set(statistics.bytes)
    metrics.delayed.set(delayedCount)
    metrics.broadcasts.set(broadcasts.count)
    metrics.watches.set(watchCount)
    metrics.sessions.set(devices.sessionCount)
    metrics.revocations.set(access.revocations.count)
    metrics.generation.set(Double(log.identity.generation))
    metrics.healthy.set(health == .healthy ? 1 : 0)
    metrics.followers.set(logFollowers.rows.count)
    metrics.followedKept.set(logFollowers.kept)
    var backlog = 0
    for case let link? in links { backlog += link.gauge.backlogBytes }
    metrics.backlogBytes.set(backlog)
  }
}
