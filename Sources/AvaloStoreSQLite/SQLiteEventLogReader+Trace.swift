import AvaloCore
import AvaloStore

// What people ask, seldom: statements are made when they are needed, and where there is no index a table is read through.
extension SQLiteEventLogReader: EventLogTracer {
  func trace(_ request: TraceRequest) throws(LogError) -> EventTrace {
    var trace = EventTrace()
    let topic = try request.topic.map { name throws(LogError) in try find(name)?.id ?? -1 }
    trace.kept = try kept(request, in: topic)
    trace.held = try held(request)
    // A user's own events are under their own name.
    var owners = request.owners
    for kept in trace.kept {
      kept.record.withUnsafeBytes { bytes in
        guard let record = EventRecord(bytes), !record.sourceUserID.isEmpty else { return }
        owners.append("user:" + String(decoding: record.sourceUserID, as: UTF8.self))
      }
    }
    trace.accepted = try accepted(request, by: owners, in: topic)
    return trace
  }

  private func kept(_ request: TraceRequest, in topic: TopicID?) throws(LogError) -> [EventTrace.Kept] {
    var found: [EventTrace.Kept] = []
    let rows = try connection.prepare(
      """
      SELECT e.id, e.topic, e.position, e.record, t.name FROM events e LEFT JOIN topics t ON t.id = e.topic
      WHERE instr(e.record, CAST(?1 AS BLOB)) > 0 AND (?2 IS NULL OR e.topic IN (?2, 0))
      """)
    rows.bind(1, request.eventID).bind(2, topic)
    defer { rows.reset() }
    while found.count < request.limit, try rows.step() {
      let record = rows.blob(3)
      guard record.isOf(request.eventID) else { continue }
      guard rows.integer(1) == 0 else {
        found.append(EventTrace.Kept(topic: rows.text(4), offset: rows.unsigned(2), record: record))
        continue
      }
      var broadcast = EventTrace.Kept(topic: nil, offset: 0, record: record, recipients: rows.unsigned(2))
      if let topic {
        guard let offset = try offset(of: rows.integer(0), in: topic) else { continue }
        broadcast.topic = request.topic
        broadcast.offset = offset
      }
      found.append(broadcast)
    }
    return found
  }

  /// Where a broadcast lies in one inbox.
  private func offset(of event: Int64, in topic: TopicID) throws(LogError) -> UInt64? {
    if let waiting = recent.entries(of: topic, after: 0, upTo: .max).entries.first(where: { $0.event == event }) {
      return waiting.position
    }
    let row = try connection.prepare("SELECT position FROM positions WHERE topic = ? AND event = ?")
    defer { row.reset() }
    return try row.bind(1, topic).bind(2, event).step() ? row.unsigned(0) : nil
  }

  private func held(_ request: TraceRequest) throws(LogError) -> [DelayedEvent] {
    var found: [DelayedEvent] = []
    let rows = try connection.prepare(
      """
      SELECT id, topic, hash, content, record FROM delayed
      WHERE instr(record, CAST(?1 AS BLOB)) > 0 AND (?2 IS NULL OR topic = ?2)
      """)
    rows.bind(1, request.eventID)
    if let topic = request.topic { rows.bind(2, topic) } else { rows.bind(2, nil as Int64?) }
    defer { rows.reset() }
    while found.count < request.limit, try rows.step() {
      let record = rows.blob(4)
      guard record.isOf(request.eventID) else { continue }
      found.append(
        DelayedEvent(
          id: rows.integer(0), due: rows.integer(0) >> SQLiteLimits.eventNumberBits, topic: rows.text(1),
          hash: rows.unsigned(2), content: rows.unsigned(3), record: record))
    }
    return found
  }

  /// Keys that wait in `recent` and those that are merged; of one that was put anew the last.
  private func accepted(
    _ request: TraceRequest, by owners: [String], in topic: TopicID?
  ) throws(LogError) -> [EventTrace.Accepted] {
    let identity = try currentIdentity()
    var id = request.eventID
    var ownerOf: [UInt64: String] = [:]
    for owner in owners { ownerOf[id.withUTF8 { identity.hash(owner: owner, eventID: .init($0)) }] = owner }
    guard !ownerOf.isEmpty else { return [] }
    let hashes = ownerOf.keys.map { "\(Int64(bitPattern: $0))" }.joined(separator: ",")
    let columns = "k.topic, k.hash, k.content, k.position, k.accepted, k.until, t.name"
    let condition = "k.hash IN (\(hashes)) AND (?1 IS NULL OR k.topic IN (?1, 0))"
    let rows = try connection.prepare(
      """
      SELECT \(columns), 0 AS seq FROM keys k LEFT JOIN topics t ON t.id = k.topic WHERE \(condition)
      UNION ALL SELECT \(columns), k.seq FROM recent k LEFT JOIN topics t ON t.id = k.topic WHERE \(condition)
      ORDER BY seq
      """)
    rows.bind(1, topic)
    defer { rows.reset() }
    var found: [EventTrace.Accepted] = []
    while try rows.step() {
      let hash = rows.unsigned(1)
      let accepted = EventTrace.Accepted(
        topic: rows.integer(0) == 0 ? nil : rows.text(6), owner: ownerOf[hash] ?? "",
        key: StoredKey(
          hash: hash, content: rows.unsigned(2), offset: rows.unsigned(3), accepted: rows.integer(4),
          until: rows.integer(5)))
      if let before = found.firstIndex(where: { $0.topic == accepted.topic && $0.key.hash == hash }) {
        found[before] = accepted
      } else if found.count < request.limit {
        found.append(accepted)
      }
    }
    return found
  }

  func devices(of topic: String, limit: Int) throws(LogError) -> [TracedDevice] {
    let id = try find(topic)?.id ?? -1
    let user = topic.hasPrefix("user:") ? String(topic.dropFirst("user:".utf8.count)) : nil
    let condition = user == nil ? "c.position IS NOT NULL" : "d.user = ?4"
    let rows = try connection.prepare(
      """
      SELECT d.user, d.id, d.device, d.platform, d.seen, max(c.position)
      FROM devices d LEFT JOIN cursors c ON c.device = d.id AND c.topic IN (?1, ?3) WHERE \(condition)
      GROUP BY d.id ORDER BY d.seen DESC LIMIT ?2
      """)
    rows.bind(1, id).bind(2, Int64(limit)).bind(3, try currentIdentity().awaited(topic))
    if let user { rows.bind(4, user) }
    defer { rows.reset() }
    var found: [TracedDevice] = []
    while try rows.step() {
      found.append(
        TracedDevice(
          user: rows.text(0),
          device: StoredDevice(
            id: rows.integer(1), device: rows.text(2),
            platform: Platform(rawValue: UInt8(truncatingIfNeeded: rows.integer(3))) ?? .unknown,
            seen: rows.integer(4)), cursor: rows.isNull(5) ? nil : rows.unsigned(5)))
    }
    return found
  }
}

extension [UInt8] {
  /// Whether it is the record of that event, and does not merely mention it.
  func isOf(_ eventID: String) -> Bool {
    withUnsafeBytes { EventRecord($0)?.eventID.elementsEqual(eventID.utf8) ?? false }
  }
}
