import AvaloStore

/// Reads pages on a connection of its own, used by one thread that is not the owner's.
///
/// Index rows are taken from memory first and from the file second, in a view begun after: a row that moves from one
/// to the other in between is seen in both, never in neither.
final class SQLiteEventLogReader: EventLogReader {
  let connection: Connection
  let recent: RecentIndex
  let lookups: LookupStatements
  private let begin: Statement
  private let end: Statement
  private let generation: Statement
  private let topic: Statement
  private let positions: Statement
  private let head: Statement
  private let record: Statement
  private let followed: FollowReader
  private var identity: LogIdentity?
  private var numbers: [String: TopicID] = [:]

  init(path: String, recent: RecentIndex) throws(LogError) {
    connection = try Connection(path: path, readOnly: true)
    try connection.execute("PRAGMA cache_size = -\(SQLiteLimits.readerCacheKiB)")
    self.recent = recent
    lookups = try LookupStatements(connection)
    begin = try connection.prepare("BEGIN")
    end = try connection.prepare("COMMIT")
    generation = try connection.prepare("SELECT generation FROM log")
    topic = try connection.prepare("SELECT id, floor FROM topics WHERE name = ?")
    positions = try connection.prepare(
      "SELECT position, event FROM positions WHERE topic = ? AND position > ? AND position <= ? ORDER BY position")
    head = try connection.prepare("SELECT coalesce(max(position), 0) FROM positions WHERE topic = ?")
    record = try connection.prepare("SELECT topic, record FROM events WHERE id = ?")
    followed = try FollowReader(connection)
  }

  func read(_ request: ReadRequest) throws(LogError) -> ReadOutcome {
    guard let id = try number(of: request.topic) else { return try read(request, in: nil, waiting: ([], 0)) }
    let waiting = recent.entries(of: id, after: request.after, upTo: request.upTo)
    try begin.run()
    do {
      let outcome = try read(request, in: try find(request.topic), waiting: waiting)
      try end.run()
      return outcome
    } catch {
      for statement in [generation, topic, positions, head, record] { statement.reset() }
      if connection.isInTransaction { try end.run() }
      throw error
    }
  }

  func follow(_ request: FollowRequest) throws(LogError) -> FollowPage {
    try begin.run()
    do {
      let page = try followed.page(request)
      try end.run()
      return page
    } catch {
      followed.reset()
      if connection.isInTransaction { try end.run() }
      throw error
    }
  }

  private func read(
    _ request: ReadRequest, in topic: StoredTopic?, waiting: (entries: [IndexEntry], head: UInt64)
  ) throws(LogError) -> ReadOutcome {
    let epoch = try currentIdentity().epoch(of: request.topic)
    guard epoch == request.epoch else { return .otherEpoch(epoch) }
    guard let topic else { return .page(ReadPage(floor: 0, through: 0, rows: [])) }

    let head = max(waiting.head, try storedHead(of: topic.id))
    var page = ReadPage(floor: topic.floor, through: min(request.upTo, head), rows: [])
    var filler = PageFiller(request: request, topic: topic)
    // Merged rows first; those in memory that are merged already were seen there.
    positions.bind(1, topic.id).bind(2, max(request.after, topic.floor))
      .bind(3, Int64(bitPattern: min(request.upTo, UInt64(Int64.max))))
    while !filler.isFull, try positions.step() {
      try add(IndexEntry(position: positions.unsigned(0), event: positions.integer(1)), to: &page, &filler)
    }
    positions.reset()
    for entry in waiting.entries where entry.position > filler.last && !filler.isFull {
      try add(entry, to: &page, &filler)
    }
    if filler.isFull { page.through = filler.last }
    return .page(page)
  }

  private func add(_ entry: IndexEntry, to page: inout ReadPage, _ filler: inout PageFiller) throws(LogError) {
    filler.last = entry.position
    guard entry.event >> SQLiteLimits.eventNumberBits > filler.nowMilliseconds else { return }
    guard try record.bind(1, entry.event).step() else { return }
    defer { record.reset() }
    // An event of another topic under this number means that ours was evicted and its number was used again.
    guard record.integer(0) == 0 || record.integer(0) == filler.topic else { return }
    let bytes = record.blob(1)
    page.rows.append((entry.position, bytes))
    filler.count(bytes.count)
  }

  func currentIdentity() throws(LogError) -> LogIdentity {
    guard try generation.step() else {
      throw .corrupt(path: connection.path, detail: "it has no identity")
    }
    let present = UInt32(truncatingIfNeeded: generation.integer(0))
    generation.reset()
    if let identity, identity.generation == present { return identity }
    guard let marks = try LogMarks.read(connection) else {
      throw .corrupt(path: connection.path, detail: "it has no identity")
    }
    identity = marks.identity
    return marks.identity
  }

  /// A topic's number never changes, so it may come from an earlier view than the rest.
  private func number(of name: String) throws(LogError) -> TopicID? {
    if let known = numbers[name] { return known }
    guard let id = try find(name)?.id else { return nil }
    if numbers.count >= SQLiteLimits.readerTopicsMax { numbers.removeAll(keepingCapacity: true) }
    numbers[name] = id
    return id
  }

  func find(_ name: String) throws(LogError) -> StoredTopic? {
    guard try topic.bind(1, name).step() else { return nil }
    defer { topic.reset() }
    return StoredTopic(id: topic.integer(0), head: 0, floor: topic.unsigned(1))
  }

  func storedHead(of id: TopicID) throws(LogError) -> UInt64 {
    guard try head.bind(1, id).step() else { return 0 }
    defer { head.reset() }
    return head.unsigned(0)
  }
}

/// Counts what a page holds.
private struct PageFiller {
  let topic: TopicID
  let nowMilliseconds: Int64
  private let bytesMax: Int
  private let rowsMax: Int
  private var bytes = 0
  private var rows = 0
  /// The last offset looked at.
  var last: UInt64

  init(request: ReadRequest, topic: StoredTopic) {
    self.topic = topic.id
    nowMilliseconds = request.nowMilliseconds
    bytesMax = min(request.bytesMax, StoreLimits.pageBytesMax)
    rowsMax = min(request.rowsMax, StoreLimits.pageRowsMax)
    last = max(request.after, topic.floor)
  }

  var isFull: Bool { rows > 0 && (bytes >= bytesMax || rows >= rowsMax) }

  mutating func count(_ recordBytes: Int) {
    bytes += recordBytes
    rows += 1
  }
}
