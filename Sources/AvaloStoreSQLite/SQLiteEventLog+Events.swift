import AvaloStore

// Topics, events and idempotency keys. Index rows are looked for where they can be: in the running transaction, in
// memory, in the file.
extension SQLiteEventLog {
  public func topic(named name: String) throws(LogError) -> StoredTopic? {
    guard try sql.topicNamed.bind(1, name).step() else { return nil }
    let id = sql.topicNamed.integer(0)
    let floor = sql.topicNamed.unsigned(1)
    sql.topicNamed.reset()
    return StoredTopic(id: id, head: try head(of: id), floor: floor)
  }

  func head(of topic: TopicID) throws(LogError) -> UInt64 {
    if let head = staged.head(of: topic) ?? recent.head(of: topic) { return head }
    guard try sql.headOf.bind(1, topic).step() else { return 0 }
    defer { sql.headOf.reset() }
    return sql.headOf.unsigned(0)
  }

  public func createTopic(named name: String) throws(LogError) -> TopicID {
    guard try sql.createTopic.bind(1, name).step() else { throw .unavailable("\(file.path): no id for a topic") }
    defer { sql.createTopic.reset() }
    return sql.createTopic.integer(0)
  }

  // MARK: Appending

  public func append(
    topic: TopicID, offset: UInt64, expires: Int64, record: [UInt8], key: StoredKey?, message: ChatMessage?
  ) throws(LogError) {
    let event = try insert(topic: topic, offset: offset, expires: expires, record: record)
    try stage(IndexTier.Row(topic: topic, position: offset, event: event, key: key), message)
  }

  public func appendShared(expires: Int64, record: [UInt8], count: Int) throws(LogError) -> Int64 {
    try insert(topic: 0, offset: UInt64(count), expires: expires, record: record)
  }

  public func append(topic: TopicID, offset: UInt64, shared: Int64, message: ChatMessage?) throws(LogError) {
    try stage(IndexTier.Row(topic: topic, position: offset, event: shared), message)
  }

  private func insert(topic: TopicID, offset: UInt64, expires: Int64, record: [UInt8]) throws(LogError) -> Int64 {
    let expires = min(max(1, expires), StoreLimits.expiryMillisecondsMax)
    bytesWritten += record.count
    // Numbers repeat after two million events: with luck one is taken, with the next one not.
    for _ in 0..<(1 << 16) {
      eventNumber = (eventNumber + 1) & (1 << SQLiteLimits.eventNumberBits - 1)
      let id = expires << SQLiteLimits.eventNumberBits | eventNumber
      sql.insertEvent.bind(1, id).bind(2, topic).bind(3, offset)
      if try sql.insertEvent.run(blob: 4, record) { return id }
    }
    throw .unavailable("\(file.path): too many events expire in the same millisecond")
  }

  func stage(_ row: IndexTier.Row, _ message: ChatMessage? = nil) throws(LogError) {
    sequence += 1
    try sql.insertRecent.bind(1, sequence).bind(2, row.topic).bind(3, row.position).bind(4, row.event)
      .bind(5, row.hash).bind(6, row.content).bind(7, row.accepted).bind(8, row.until)
      .bind(9, message?.chat ?? 0).bind(10, message?.message ?? 0).bind(11, message?.source ?? 0).run()
    staged.append(row, message: message.map { IndexTier.Message($0, row, sequence: sequence) })
  }

  // MARK: Idempotency keys

  public func key(topic: TopicID, hash: UInt64) throws(LogError) -> StoredKey? {
    if let key = staged.key(topic: topic, hash: hash) ?? recent.key(topic: topic, hash: hash) { return key }
    guard try sql.key.bind(1, topic).bind(2, hash).step() else { return nil }
    defer { sql.key.reset() }
    return StoredKey(
      hash: hash, content: sql.key.unsigned(0), offset: sql.key.unsigned(1), accepted: sql.key.integer(2),
      until: sql.key.integer(3))
  }

  public func put(_ key: StoredKey, topic: TopicID) throws(LogError) {
    try stage(IndexTier.Row(topic: topic, position: key.offset, event: 0, key: key))
  }

  // MARK: Looking back

  public func tail(of topic: TopicID, nowMilliseconds: Int64) throws(LogError) -> UInt64 {
    let oldest = (nowMilliseconds + 1) << SQLiteLimits.eventNumberBits
    let floor = try floor(of: topic)
    sql.positionsFrom.bind(1, topic).bind(2, floor)
    while try sql.positionsFrom.step() {
      guard sql.positionsFrom.integer(1) >= oldest else { continue }
      defer { sql.positionsFrom.reset() }
      return sql.positionsFrom.unsigned(0) - 1
    }
    let waiting = waiting(topic: topic, after: floor, upTo: .max)
    if let first = waiting.first(where: { $0.event >= oldest }) { return first.position - 1 }
    return try head(of: topic)
  }

  public func bytes(of topic: TopicID) throws(LogError) -> Int {
    let floor = try floor(of: topic)
    let head = try head(of: topic)
    let sample = StoreLimits.bytesSampleRows
    guard head - floor > 2 * sample else { return try bytes(of: topic, after: floor, upTo: head) }
    let ends =
      try bytes(of: topic, after: floor, upTo: floor + sample) + bytes(of: topic, after: head - sample, upTo: head)
    return ends * Int(head - floor) / Int(2 * sample)
  }

  private func bytes(of topic: TopicID, after: UInt64, upTo: UInt64) throws(LogError) -> Int {
    var bytes = 0
    for entry in try entries(of: topic, after: after, upTo: upTo, limit: .max) {
      guard try sql.eventHead.bind(1, entry.event).step() else { continue }
      bytes += Int(sql.eventHead.integer(2))
      sql.eventHead.reset()
    }
    return bytes
  }

  private func floor(of topic: TopicID) throws(LogError) -> UInt64 {
    guard try sql.floorOf.bind(1, topic).step() else { return 0 }
    defer { sql.floorOf.reset() }
    return sql.floorOf.unsigned(0)
  }

  /// Index rows not in the trees yet, those of the running transaction last.
  private func waiting(topic: TopicID, after: UInt64, upTo: UInt64) -> [IndexEntry] {
    var entries: [IndexEntry] = []
    staged.collect(topic: topic, after: after, upTo: upTo, into: &entries)
    return recent.entries(of: topic, after: after, upTo: upTo).entries + entries
  }

  /// The topic's index rows, each once and in order, those of events that are gone included.
  func entries(
    of topic: TopicID, after: UInt64, upTo: UInt64, limit: Int
  ) throws(LogError) -> [IndexEntry] {
    var entries: [IndexEntry] = []
    sql.positionsFrom.bind(1, topic).bind(2, after)
    while entries.count < limit, try sql.positionsFrom.step() {
      let position = sql.positionsFrom.unsigned(0)
      guard position <= upTo else { break }
      entries.append(IndexEntry(position: position, event: sql.positionsFrom.integer(1)))
    }
    sql.positionsFrom.reset()
    let waiting = waiting(topic: topic, after: entries.last?.position ?? after, upTo: upTo)
    return entries + waiting.prefix(limit - entries.count)
  }

  // MARK: Removing

  public func evict(topic: TopicID, upTo offset: UInt64, freeing bytes: Int) throws(LogError) -> (
    floor: UInt64, removed: Removed
  ) {
    let head = try head(of: topic)
    let last = head == 0 ? 0 : head - 1
    let offset = min(offset, last)
    let before = try floor(of: topic)
    var floor = before
    var removed = Removed()
    let candidates = try entries(
      of: topic, after: before, upTo: bytes > 0 ? last : offset, limit: StoreLimits.chunkRows)
    for entry in candidates {
      guard entry.position <= offset || removed.bytes < bytes else { break }
      removed.rows += 1
      floor = entry.position
      guard try sql.eventHead.bind(1, entry.event).step() else { continue }
      let isShared = sql.eventHead.integer(0) == 0
      removed.count(sql.eventHead.blob(1), times: 1, bytes: Int(sql.eventHead.integer(2)))
      sql.eventHead.reset()
      // A shared record lives until its own time: other inboxes refer to it.
      if !isShared { try sql.deleteEvent.bind(1, entry.event).run() }
    }
    if removed.rows < StoreLimits.chunkRows { floor = max(floor, offset) }
    guard floor > before else { return (before, removed) }
    try sql.deletePositionsUpTo.bind(1, topic).bind(2, floor).run()
    try sql.setFloor.bind(1, topic).bind(2, floor).run()
    return (floor, removed)
  }

  public func expire(before: Int64) throws(LogError) -> Removed {
    var removed = Removed()
    var last: Int64?
    sql.expired.bind(1, before << SQLiteLimits.eventNumberBits).bind(2, Int64(StoreLimits.chunkRows))
    while try sql.expired.step() {
      last = sql.expired.integer(0)
      let times = sql.expired.integer(1) == 0 ? Int(sql.expired.integer(2)) : 1
      removed.count(sql.expired.blob(3), times: times, bytes: Int(sql.expired.integer(4)))
      removed.rows += 1
    }
    if let last { try sql.deleteExpired.bind(1, last).run() }
    return removed
  }
}

extension Removed {
  mutating func count(_ type: [UInt8], times: Int, bytes: Int) {
    byType[Int(type.first ?? 0)] += times
    self.bytes += bytes
  }
}
