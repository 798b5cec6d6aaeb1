import AvaloStore

/// Index rows in memory, in the order of their arrival: where events lie and which idempotency keys are taken.
/// Rows of one topic are chained backwards, so that a tier is one array and two small tables whatever the topics.
struct IndexTier: Sendable {
  struct Row: Sendable {
    var topic: TopicID
    /// Of the event; of a key without an event what the key remembers.
    var position: UInt64
    /// 0 for a key without an event.
    var event: Int64
    /// 0 for an event without a key.
    var hash: UInt64
    var content: UInt64
    var accepted: Int64
    var until: Int64
    /// The index of the topic's event before this one, or -1.
    var previous: Int32 = -1

    var key: StoredKey {
      StoredKey(hash: hash, content: content, offset: position, accepted: accepted, until: until)
    }

    init(
      topic: TopicID, position: UInt64, event: Int64, hash: UInt64 = 0, content: UInt64 = 0, accepted: Int64 = 0,
      until: Int64 = 0
    ) {
      self.topic = topic
      self.position = position
      self.event = event
      self.hash = hash
      self.content = content
      self.accepted = accepted
      self.until = until
    }
    init(topic: TopicID, position: UInt64, event: Int64, key: StoredKey?) {
      self.init(
        topic: topic, position: position, event: event, hash: key?.hash ?? 0, content: key?.content ?? 0,
        accepted: key?.accepted ?? 0, until: key?.until ?? 0)
    }
  }
  private struct KeyName: Hashable {
    var topic: TopicID
    var hash: UInt64
  }

  private(set) var rows: [Row] = []
  private var lastOf: [TopicID: Int32] = [:]
  private var keyOf: [KeyName: Int32] = [:]

  var count: Int { rows.count }
  var isEmpty: Bool { rows.isEmpty }

  mutating func append(_ row: Row) {
    var row = row
    let index = Int32(rows.count)
    if row.event != 0 { row.previous = lastOf.updateValue(index, forKey: row.topic) ?? -1 }
    if row.hash != 0 { keyOf[KeyName(topic: row.topic, hash: row.hash)] = index }
    rows.append(row)
  }

  mutating func absorb(_ tier: IndexTier) {
    for row in tier.rows { append(row) }
  }

  mutating func removeAll() {
    rows.removeAll(keepingCapacity: true)
    lastOf.removeAll(keepingCapacity: true)
    keyOf.removeAll(keepingCapacity: true)
  }

  /// The topic's last offset here.
  func head(of topic: TopicID) -> UInt64? { lastOf[topic].map { rows[Int($0)].position } }

  /// The key as it was stored last.
  func key(topic: TopicID, hash: UInt64) -> StoredKey? {
    keyOf[KeyName(topic: topic, hash: hash)].map { rows[Int($0)].key }
  }

  /// The topic's events above `after`, up to and including `upTo`, put before those already in `entries`.
  func collect(topic: TopicID, after: UInt64, upTo: UInt64, into entries: inout [IndexEntry]) {
    var found: [IndexEntry] = []
    var next = lastOf[topic] ?? -1
    while next >= 0 {
      let row = rows[Int(next)]
      if row.position <= after { break }
      if row.position <= upTo { found.append(IndexEntry(position: row.position, event: row.event)) }
      next = row.previous
    }
    entries.insert(contentsOf: found.reversed(), at: 0)
  }
}

/// Where one event of a topic lies.
struct IndexEntry: Equatable, Sendable {
  var position: UInt64
  var event: Int64
}
