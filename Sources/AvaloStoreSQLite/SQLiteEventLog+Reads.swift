import AvaloStore

// Messages of chats, and up to where they were read. A message is looked for where it can be: in the
// file, in memory, in the running transaction.
extension SQLiteEventLog {
  public var lastSequence: UInt64 { UInt64(sequence) }

  public func advanceSequence() throws(LogError) -> UInt64 {
    // A row that says nothing but that it was there.
    try stage(IndexTier.Row(topic: 0, position: 0, event: 0))
    return UInt64(sequence)
  }

  // MARK: Messages

  public func message(_ message: UInt64, of chat: TopicID, in scope: TopicID) throws(LogError) -> StoredMessage? {
    let name = IndexTier.MessageName(scope: scope, chat: chat, message: message)
    return try readSQL.lookups.message(name, waiting: recent.message(name) ?? staged.message(name))
  }

  public func messages(_ range: MessageRange, limit: Int) throws(LogError) -> [StoredMessage] {
    try readSQL.lookups.messages(range, limit: limit, waiting: waiting(range))
  }

  public func messageCount(_ range: MessageRange, limit: Int) throws(LogError) -> Int {
    try readSQL.lookups.count(range, limit: limit, waiting: waiting(range))
  }

  private func waiting(_ range: MessageRange) -> [StoredMessage] {
    recent.messages(range)
      + staged.messages(range).filter {
        recent.message(.init(scope: range.scope, chat: range.chat, message: $0.message)) == nil
      }
  }

  public func chats(in scope: TopicID, limit: Int) throws(LogError) -> [TopicID] {
    try readSQL.lookups.chats(
      in: scope, limit: limit, waiting: recent.chats(in: scope).union(staged.chats(in: scope)))
  }

  func insert(_ message: IndexTier.Message) throws(LogError) {
    try readSQL.insertMessage.bind(1, message.scope).bind(2, message.chat).bind(3, message.stored.sequence)
      .bind(4, message.stored.offset).bind(5, message.event).bind(6, message.stored.message)
      .bind(7, message.stored.source).run()
  }

  /// Deletes messages whose events have expired or were evicted.
  func sweepMessages(_ limit: Int, before: Int64) throws(LogError) {
    let oldest = before << SQLiteLimits.eventNumberBits
    var seen = 0
    var doomed: [(scope: Int64, chat: Int64, sequence: Int64)] = []
    let rows = readSQL.sweepMessages.bind(1, sweep.message.scope).bind(2, sweep.message.chat)
      .bind(3, sweep.message.sequence).bind(4, Int64(limit))
    while try rows.step() {
      sweep.message = (rows.integer(0), rows.integer(1), rows.integer(2))
      if rows.integer(3) < oldest || rows.unsigned(4) <= rows.unsigned(5) { doomed.append(sweep.message) }
      seen += 1
    }
    for row in doomed { try readSQL.deleteMessage.bind(1, row.scope).bind(2, row.chat).bind(3, row.sequence).run() }
    if seen < limit { sweep.message = (0, 0, 0) }
  }

  // MARK: Markers

  public func marker(of user: String, in chat: TopicID) throws(LogError) -> StoredMarker? {
    try readSQL.lookups.marker(of: user, in: chat)
  }

  public func put(_ marker: StoredMarker) throws(LogError) {
    try readSQL.upsertMarker.bind(1, marker.user).bind(2, marker.chat).bind(3, marker.upTo).bind(4, marker.version)
      .bind(5, marker.read).bind(6, marker.messageID).bind(7, marker.request).bind(8, Int64(marker.count)).run()
  }

  public func markers(of chat: TopicID, since: Int64, limit: Int) throws(LogError) -> [StoredMarker] {
    try readSQL.lookups.markers(of: chat, since: since, limit: limit)
  }

  public func markers(above version: UInt64, limit: Int) throws(LogError) -> [StoredMarker] {
    var markers: [StoredMarker] = []
    let rows = readSQL.markersAbove.bind(1, Int64(clamping: version)).bind(2, Int64(limit))
    while try rows.step() { markers.append(rows.storedMarker(of: rows.integer(7))) }
    return markers.reversed()
  }

  public func removeMarkers(of user: String, limit: Int) throws(LogError) -> Int {
    var chats: [TopicID] = []
    let rows = readSQL.markersOfUser.bind(1, user).bind(2, Int64(limit))
    while try rows.step() { chats.append(rows.integer(0)) }
    for chat in chats { try readSQL.deleteMarker.bind(1, user).bind(2, chat).run() }
    return chats.count
  }

  // MARK: Looking up

  public func name(of topic: TopicID) throws(LogError) -> String? { try readSQL.lookups.name(of: topic) }

  public func record(of topic: TopicID, at offset: UInt64) throws(LogError) -> [UInt8]? {
    guard offset > 0, let entry = try entries(of: topic, after: offset - 1, upTo: offset, limit: 1).first,
      try readSQL.record.bind(1, entry.event).step()
    else { return nil }
    defer { readSQL.record.reset() }
    // An event of another topic under this number means that ours was evicted and its number was used again.
    guard readSQL.record.integer(0) == 0 || readSQL.record.integer(0) == topic else { return nil }
    return readSQL.record.blob(1)
  }
}

extension Statement {
  /// Of a row that begins with user, upTo, version, moved, message, request, marked.
  func storedMarker(of chat: TopicID) -> StoredMarker {
    StoredMarker(
      chat: chat, user: text(0), upTo: unsigned(1), version: unsigned(2), read: integer(3), messageID: text(4),
      request: unsigned(5), count: UInt32(clamping: integer(6)))
  }
}
