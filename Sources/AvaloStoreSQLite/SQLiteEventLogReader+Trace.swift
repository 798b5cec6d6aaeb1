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
    try lookUp(request, by: owners, in: topic, into: &trace)
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

  /// What is known under the event's idempotency keys, and under the names of what became of it while it was held.
  private func lookUp(
    _ request: TraceRequest, by owners: [String], in topic: TopicID?, into trace: inout EventTrace
  ) throws(LogError) {
    let identity = try currentIdentity()
    var id = request.eventID
    var ownerOf: [UInt64: String] = [:]
    for owner in owners { ownerOf[id.withUTF8 { identity.hash(owner: owner, eventID: .init($0)) }] = owner }
    for (topic, key) in try keys(Array(ownerOf.keys), in: topic) where trace.accepted.count < request.limit {
      let name = try topic == 0 ? nil : name(of: topic)
      trace.accepted.append(EventTrace.Accepted(topic: name, owner: ownerOf[key.hash] ?? "", key: key))
    }
    let held = Dictionary(
      ownerOf.map { (identity.hash(ofHeld: $0.key), $0.value) }, uniquingKeysWith: { first, _ in first })
    for (_, key) in try keys(Array(held.keys), in: 0) {
      guard let name = try name(of: TopicID(clamping: key.content)), request.topic == nil || request.topic == name
      else {
        continue
      }
      trace.fates.append(EventTrace.Fate(topic: name, owner: held[key.hash] ?? "", key: key))
    }
  }

  /// Keys that wait in `recent` and those that are merged, in the topic and in none; of one that was put anew the last.
  private func keys(_ hashes: [UInt64], in topic: TopicID?) throws(LogError) -> [(topic: TopicID, key: StoredKey)] {
    let columns = "topic, hash, content, position, accepted, until"
    let names = hashes.map { "\(Int64(bitPattern: $0))" }.joined(separator: ",")
    let condition = "hash IN (\(names)) AND (?1 IS NULL OR topic IN (?1, 0))"
    let rows = try connection.prepare(
      """
      SELECT \(columns), 0 AS seq FROM keys WHERE \(condition)
      UNION ALL SELECT \(columns), seq FROM recent WHERE \(condition)
      ORDER BY seq
      """)
    rows.bind(1, topic)
    defer { rows.reset() }
    var found: [(topic: TopicID, key: StoredKey)] = []
    while try rows.step() {
      let topic = rows.integer(0)
      let key = StoredKey(
        hash: rows.unsigned(1), content: rows.unsigned(2), offset: rows.unsigned(3), accepted: rows.integer(4),
        until: rows.integer(5))
      if let before = found.firstIndex(where: { $0.topic == topic && $0.key.hash == key.hash }) {
        found[before].key = key
      } else {
        found.append((topic, key))
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
      SELECT d.user, d.id, d.device, d.platform, d.seen, max(c.position), c.began, m.since
      FROM devices d LEFT JOIN cursors c ON c.device = d.id AND c.topic IN (?1, ?3)
        LEFT JOIN members m ON m.topic = ?1 AND m.user = d.user
      WHERE \(condition)
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
            seen: rows.integer(4)), cursor: rows.isNull(5) ? nil : rows.unsigned(5),
          began: rows.isNull(6) ? 0 : rows.unsigned(6), since: rows.isNull(7) ? nil : rows.unsigned(7)))
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
