import AvaloStore

/// A tier's rows on their way into the trees, in the order of topics, so that a page is touched once for all its rows.
struct Merge {
  let rows: [IndexTier.Row]
  let messages: [IndexTier.Message]
  /// topic << 32 | index of the row.
  let order: [UInt64]
  var next = 0
  /// The last row of `recent` that this merge covers, and up to where those have been deleted.
  let through: Int64
  var deleted: Int64

  init(_ tier: IndexTier, through: Int64) {
    rows = tier.rows
    messages = tier.messages
    self.through = through
    deleted = through - Int64(tier.rows.count)
    var order = tier.rows.indices.map { UInt64(tier.rows[$0].topic) << 32 | UInt64($0) }
    order.sort()
    self.order = order
  }
}

/// How far the search for rows that are no longer needed has come; it goes round and round.
struct Sweep {
  var position: (topic: Int64, position: Int64) = (0, 0)
  var key: (topic: Int64, hash: Int64) = (-1, .min)
  var message: (scope: Int64, chat: Int64, sequence: Int64) = (0, 0, 0)
  /// When there was nothing to merge, the time of the last step.
  var lastMilliseconds: Int64 = 0
}

extension SQLiteEventLog {
  /// Merges when there is enough to merge, and sweeps: two rows looked at for each one merged, which keeps what is
  /// there below twice what is needed; a chunk a second otherwise.
  public func maintain(rows: Int, before: Int64) throws(LogError) -> Bool {
    try restartLogIfDue()
    if merge == nil, recent.youngCount >= mergeRows { merge = Merge(recent.rotate(), through: sequence) }
    if merge != nil {
      // A merge that is behind is everybody's business: what waits is memory, and time at the next start.
      let rows = recent.count > 4 * mergeRows ? max(rows, StoreLimits.chunkRows) : rows
      try aside { () throws(LogError) in
        try mergeStep(rows)
        try sweepPositions(2 * rows, before: before)
        try sweepKeys(2 * rows, before: before)
        try sweepMessages(2 * rows, before: before)
      }
      finishMerge()
    } else if before - sweep.lastMilliseconds >= 1000 || before < sweep.lastMilliseconds {
      sweep.lastMilliseconds = before
      try aside { () throws(LogError) in
        try sweepPositions(StoreLimits.chunkRows, before: before)
        try sweepKeys(StoreLimits.chunkRows, before: before)
        try sweepMessages(StoreLimits.chunkRows, before: before)
      }
    }
    return merge != nil
  }

  /// A transaction that may be lost as long as it is not torn: nobody waits for it, so the disk need not.
  private func aside(_ body: () throws(LogError) -> Void) throws(LogError) {
    if durability == .disk { try connection.execute("PRAGMA synchronous = NORMAL") }
    try begin()
    let before = (merge, sweep)
    do {
      try body()
      try commit()
    } catch {
      (merge, sweep) = before
      rollback()
      throw error
    }
    if durability == .disk { try connection.execute("PRAGMA synchronous = FULL") }
  }

  private func mergeStep(_ limit: Int) throws(LogError) {
    guard var merge else { return }
    let end = min(merge.order.count, merge.next + limit)
    for place in merge.order[merge.next..<end] {
      let row = merge.rows[Int(place & 0xffff_ffff)]
      if row.event != 0 {
        try sql.insertPosition.bind(1, row.topic).bind(2, row.position).bind(3, row.event).run()
      }
      if row.hash != 0 {
        try sql.upsertKey.bind(1, row.topic).bind(2, row.hash).bind(3, row.content).bind(4, row.position)
          .bind(5, row.accepted).bind(6, row.until).run()
      }
      if row.message >= 0 { try insert(merge.messages[Int(row.message)]) }
    }
    if merge.next == merge.order.count {
      merge.deleted = min(merge.through, merge.deleted + Int64(8 * limit))
      // The last row stays: it is where the sequence goes on after a restart.
      try sql.deleteRecent.bind(1, min(merge.deleted, sequence - 1)).run()
    }
    merge.next = end
    self.merge = merge
  }

  private func finishMerge() {
    guard let merge, merge.next == merge.order.count, merge.deleted >= merge.through else { return }
    self.merge = nil
    recent.merged()
  }

  /// Deletes index rows of events that have expired, but never a topic's last: that is the head.
  private func sweepPositions(_ limit: Int, before: Int64) throws(LogError) {
    let oldest = before << SQLiteLimits.eventNumberBits
    var seen = 0
    var last: (topic: Int64, position: Int64, isExpired: Bool)?
    var doomed: [(topic: Int64, position: Int64)] = []
    sql.sweepPositions.bind(1, sweep.position.topic).bind(2, sweep.position.position).bind(3, Int64(limit))
    while try sql.sweepPositions.step() {
      let row = (topic: sql.sweepPositions.integer(0), position: sql.sweepPositions.integer(1))
      if let last, last.isExpired, last.topic == row.topic { doomed.append((last.topic, last.position)) }
      last = (row.topic, row.position, sql.sweepPositions.integer(2) < oldest)
      seen += 1
    }
    for row in doomed { try sql.deletePosition.bind(1, row.topic).bind(2, row.position).run() }
    // The last row is looked at again as the next step's first: only then is it known whether it is a head.
    sweep.position = seen < limit ? (0, 0) : last.map { ($0.topic, $0.position - 1) } ?? (0, 0)
  }

  /// Deletes keys that no longer count: their time is over, or their event was evicted and the least time is over.
  private func sweepKeys(_ limit: Int, before: Int64) throws(LogError) {
    var seen = 0
    var doomed: [(topic: Int64, hash: Int64)] = []
    let recently = before - StoreLimits.keyMillisecondsMin
    sql.sweepKeys.bind(1, sweep.key.topic).bind(2, sweep.key.hash).bind(3, Int64(limit))
    while try sql.sweepKeys.step() {
      let row = (topic: sql.sweepKeys.integer(0), hash: sql.sweepKeys.integer(1))
      let offset = sql.sweepKeys.integer(2)
      let isEvicted = row.topic != 0 && offset != 0 && offset <= sql.sweepKeys.integer(5)
      if sql.sweepKeys.integer(4) < before || (isEvicted && sql.sweepKeys.integer(3) < recently) { doomed.append(row) }
      sweep.key = row
      seen += 1
    }
    for row in doomed { try sql.deleteKey.bind(1, row.topic).bind(2, row.hash).run() }
    if seen < limit { sweep.key = (-1, .min) }
  }
}
