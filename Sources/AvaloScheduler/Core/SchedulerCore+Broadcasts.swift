import AvaloCore
import AvaloStore
import AvaloWire

// Broadcasts to more users than one transaction takes (delivery.md, rule 15). Their recipients come in parts; with the last
// one the broadcast is accepted, and from then on it is served chunk by chunk behind the requests of each turn. A
// chunk's appends and the broadcast's progress are one transaction: whatever dies, nobody gets it twice, and it goes on
// where it was.
extension SchedulerCore {
  func broadcast(_ request: BroadcastRequest, _ origin: Origin) throws(LogError) {
    switch request {
    case .begin(let begin): try beginBroadcast(begin, origin)
    case .part(let part): try takePart(part, origin)
    case .query(let query): try queryBroadcast(query, origin)
    case .cancelDelayed(let cancel): try cancelDelayed(cancel, origin)
    }
  }

  // MARK: Receiving

  private func beginBroadcast(_ begin: BeginBroadcast, _ origin: Origin) throws(LogError) {
    expectAnswer(origin)
    guard admit(begin.record, owner: begin.owner, origin) != nil else { return }
    try ensureTransaction()
    let id = hash(begin.record, owner: begin.owner)
    if let known = try log.key(topic: 0, hash: id), counts(known) {
      guard known.content == begin.contentHash else { return refuseConflict(begin.record, origin) }
      turn.duplicates += 1
      return answer(origin, BroadcastBegun(broadcast: id, durability: log.durability, duplicate: true))
    }
    if let running = broadcasts[id] {
      guard running.row.content == begin.contentHash else { return refuseConflict(begin.record, origin) }
      // A later call of the same: what the earlier one handed in counts for nothing, whichever order it came in.
      if running.row.attempt != begin.attempt { try log.removeBroadcast(id) }
    } else if broadcasts.count >= SchedulerLimits.broadcastsMax {
      metrics.refused(.limit)
      return refuse(
        origin,
        Failed(
          .resourceExhausted, "\(SchedulerLimits.broadcastsMax) broadcasts are under way: try again later",
          retryAfterMilliseconds: SchedulerLimits.broadcastRetryMilliseconds))
    }
    if broadcasts[id]?.row.attempt != begin.attempt {
      let row = StoredBroadcast(
        id: id, owner: begin.owner, eventID: eventID(of: begin.record), content: begin.contentHash,
        attempt: begin.attempt,
        recipients: begin.recipients, started: moment.wall)
      try log.put(row)
      try log.put(record: begin.record, ofBroadcast: id)
      broadcasts.put(BroadcastTable.Job(row: row, touched: moment.monotonic))
      turn.hasWrites = true
    }
    answer(origin, BroadcastBegun(broadcast: id, durability: log.durability, duplicate: false))
  }

  private func takePart(_ part: BroadcastPart, _ origin: Origin) throws(LogError) {
    expectAnswer(origin)
    guard health == .healthy else {
      metrics.refused(.log)
      return refuse(origin, SchedulerCore.unavailable)
    }
    guard var job = broadcasts[part.broadcast], job.row.attempt == part.attempt else {
      return refuse(
        origin, .aborted, "the broadcast was begun anew by another call, or its users did not come in time", .invalid)
    }
    let count = UInt32(part.recipients.count)
    guard part.first <= job.row.received, count > 0, count <= job.row.recipients - min(part.first, job.row.recipients)
    else { return refuse(origin, .invalidArgument, "a part of a broadcast that does not follow the last", .invalid) }
    // A part that comes twice was taken the first time.
    if part.first == job.row.received {
      try ensureTransaction()
      try log.put(recipients: part.recipients, from: part.first, ofBroadcast: job.row.id)
      job.row.received += count
      job.touched = moment.monotonic
      if job.row.received == job.row.recipients {
        guard try accept(&job, origin) else { return }
      }
      try log.put(job.row)
      broadcasts.put(job)
      turn.hasWrites = true
    }
    answer(origin, BroadcastPartTaken(received: job.row.received))
  }

  /// All recipients are there: from now on it will be delivered. `false`, and answered, when it may not be.
  private func accept(_ job: inout BroadcastTable.Job, _ origin: Origin) throws(LogError) -> Bool {
    let id = job.row.id
    guard var record = try log.record(ofBroadcast: id), let event = record.withUnsafeBytes({ EventHead($0) }) else {
      try forget(id)
      refuse(origin, Failed(.internal, "the broadcast's event is not there any more: call again"))
      return false
    }
    // One that is small enough for a transaction, with the same event id, may have come in between.
    if let known = try log.key(topic: 0, hash: id), counts(known) {
      try forget(id)
      refuseConflict(record, origin)
      return false
    }
    job.row.expires = stamp(&record, event, rule: rules.index(ofKind: "user"))
    job.row.shared = try log.appendShared(
      expires: job.row.expires, record: record, count: Int(job.row.recipients))
    job.row.started = moment.wall
    job.row.state = .running
    job.record = record
    try log.put(
      key(id, job.row.content, offset: UInt64(job.row.recipients), until: job.row.expires), topic: 0)
    return true
  }

  private func forget(_ id: UInt64) throws(LogError) {
    try log.removeBroadcast(id)
    broadcasts.remove(id)
    turn.hasWrites = true
  }

  /// Forgets broadcasts whose recipients have stopped coming: nobody was told that they are accepted.
  func dropAbandonedBroadcasts() throws(LogError) {
    let doomed = broadcasts.abandoned(at: moment.monotonic)
    guard !doomed.isEmpty else { return }
    try transaction { () throws(LogError) in
      for id in doomed { try log.removeBroadcast(id) }
    }
    for id in doomed { broadcasts.remove(id) }
  }

  /// Forgets what nobody will ask for any more.
  func releaseFinishedBroadcasts() throws(LogError) {
    let before = clock.deletionTime(moment) - SchedulerLimits.broadcastKeptMilliseconds
    try transaction { () throws(LogError) in
      _ = try log.removeFinishedBroadcasts(before: before, keeping: SchedulerLimits.broadcastsKeptMax)
    }
  }

  // MARK: Serving

  /// The next few recipients of one broadcast, in the turn's transaction, behind all that was asked for.
  func serveBroadcast() throws(LogError) {
    guard health == .healthy, var job = broadcasts.turn() else { return }
    try ensureTransaction()
    if job.record == nil { job.record = try log.shared(job.row.shared) }
    let isOver = job.row.expires <= clock.deletionTime(moment)
    let limit = turn.requests.isEmpty ? SchedulerLimits.broadcastChunkIdle : SchedulerLimits.broadcastChunkBusy
    guard !isOver, let record = job.record, let event = record.withUnsafeBytes({ EventHead($0) }),
      let users = try recipients(of: &job, limit: limit)
    else {
      // Nobody can be shown it any more.
      if !isOver { logger.error("a broadcast has lost its event or users", metadata: ["broadcast": "\(job.row.id)"]) }
      job.row.failed = job.row.recipients - job.row.done
      return try note(&job)
    }
    try append(record, event, shared: job.row.shared, to: users)
    job.row.done += UInt32(users.count)
    turn.served += users.count
    try note(&job)
  }

  private func recipients(of job: inout BroadcastTable.Job, limit: Int) throws(LogError) -> ArraySlice<String>? {
    let next = job.next
    if job.part.map({ next < $0.first || Int(next - $0.first) >= $0.users.count }) ?? true {
      job.part = try log.recipients(at: next, ofBroadcast: job.row.id)
    }
    guard let part = job.part else { return nil }
    return part.users[Int(next - part.first)...].prefix(limit)
  }

  private func note(_ job: inout BroadcastTable.Job) throws(LogError) {
    if job.next >= job.row.recipients {
      job.row.state = .finished
      job.row.finished = moment.wall
      try log.removeParts(ofBroadcast: job.row.id)
      // Known until it is done, and some time after.
      try log.put(
        key(job.row.id, job.row.content, offset: UInt64(job.row.recipients), until: job.row.expires), topic: 0)
      turn.unserved += Int(job.row.failed)
    }
    try log.put(job.row)
    broadcasts.put(job)
    turn.hasWrites = true
  }

  // MARK: Asking

  private func queryBroadcast(_ query: BroadcastQuery, _ origin: Origin) throws(LogError) {
    expectAnswer(origin)
    try ensureTransaction()
    guard let row = try log.broadcast(query.broadcast), row.owner == query.owner, row.state != .receiving else {
      return refuse(origin, Failed(.notFound, "there is no such broadcast: unknown, or finished long ago"))
    }
    answer(
      origin,
      BroadcastStatus(
        eventID: row.eventID, recipients: row.recipients, done: row.done, failed: row.failed,
        startedMilliseconds: row.started, finishedMilliseconds: row.finished))
  }
}
