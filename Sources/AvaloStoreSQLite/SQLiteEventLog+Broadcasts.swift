import AvaloCore
import AvaloStore

// Broadcasts, with their recipients.
extension SQLiteEventLog {
  public func broadcast(_ id: UInt64) throws(LogError) -> StoredBroadcast? {
    guard try broadcastSQL.named.bind(1, id).step() else { return nil }
    defer { broadcastSQL.named.reset() }
    return try stored(broadcastSQL.named)
  }

  public func unfinishedBroadcasts() throws(LogError) -> [StoredBroadcast] {
    var broadcasts: [StoredBroadcast] = []
    while try broadcastSQL.unfinished.step() { broadcasts.append(try stored(broadcastSQL.unfinished)) }
    return broadcasts
  }

  public func put(_ broadcast: StoredBroadcast) throws(LogError) {
    try broadcastSQL.upsert.bind(1, broadcast.id).bind(2, broadcast.owner).bind(3, broadcast.eventID)
      .bind(4, broadcast.content).bind(5, broadcast.attempt).bind(6, Int64(broadcast.state.rawValue))
      .bind(7, Int64(broadcast.recipients)).bind(8, Int64(broadcast.received)).bind(9, Int64(broadcast.done))
      .bind(10, Int64(broadcast.failed)).bind(11, broadcast.started).bind(12, broadcast.finished)
      .bind(13, broadcast.expires).bind(14, broadcast.shared).run()
  }

  public func removeBroadcast(_ id: UInt64) throws(LogError) {
    try removeParts(ofBroadcast: id)
    try broadcastSQL.delete.bind(1, id).run()
  }

  public func removeFinishedBroadcasts(before: Int64, keeping: Int) throws(LogError) -> Int {
    var doomed = Set<Int64>()
    broadcastSQL.outlived.bind(1, before)
    while try broadcastSQL.outlived.step() { doomed.insert(broadcastSQL.outlived.integer(0)) }
    broadcastSQL.surplus.bind(1, Int64(keeping))
    while try broadcastSQL.surplus.step() { doomed.insert(broadcastSQL.surplus.integer(0)) }
    for id in doomed { try removeBroadcast(UInt64(bitPattern: id)) }
    return doomed.count
  }

  private func stored(_ row: Statement) throws(LogError) -> StoredBroadcast {
    var broadcast = StoredBroadcast(
      id: row.unsigned(0), owner: row.text(1), eventID: row.text(2), content: row.unsigned(3),
      attempt: row.unsigned(4), recipients: UInt32(truncatingIfNeeded: row.integer(6)), started: row.integer(10))
    guard let state = StoredBroadcast.State(rawValue: UInt8(truncatingIfNeeded: row.integer(5))) else {
      row.reset()
      throw .corrupt(path: file.path, detail: "a broadcast in no known state")
    }
    broadcast.state = state
    broadcast.received = UInt32(truncatingIfNeeded: row.integer(7))
    broadcast.done = UInt32(truncatingIfNeeded: row.integer(8))
    broadcast.failed = UInt32(truncatingIfNeeded: row.integer(9))
    broadcast.finished = row.integer(11)
    broadcast.expires = row.integer(12)
    broadcast.shared = row.integer(13)
    return broadcast
  }

  // MARK: Parts

  public func put(record: [UInt8], ofBroadcast id: UInt64) throws(LogError) {
    bytesWritten += record.count
    _ = try broadcastSQL.upsertPart.bind(1, id).bind(2, Int64(-1)).run(blob: 3, record)
  }

  public func record(ofBroadcast id: UInt64) throws(LogError) -> [UInt8]? {
    guard try broadcastSQL.part.bind(1, id).bind(2, Int64(-1)).step() else { return nil }
    defer { broadcastSQL.part.reset() }
    return broadcastSQL.part.blob(1)
  }

  public func put(recipients: [String], from first: UInt32, ofBroadcast id: UInt64) throws(LogError) {
    // Ids have no line ends in them.
    let bytes = Array(recipients.joined(separator: "\n").utf8)
    bytesWritten += bytes.count
    _ = try broadcastSQL.upsertPart.bind(1, id).bind(2, Int64(first)).run(blob: 3, bytes)
  }

  public func recipients(
    at index: UInt32, ofBroadcast id: UInt64
  ) throws(LogError) -> (first: UInt32, users: [String])? {
    guard try broadcastSQL.partBefore.bind(1, id).bind(2, Int64(index)).step() else { return nil }
    defer { broadcastSQL.partBefore.reset() }
    let first = UInt32(truncatingIfNeeded: broadcastSQL.partBefore.integer(0))
    let users = broadcastSQL.partBefore.blob(1).split(separator: UInt8(ascii: "\n"))
      .map { String(decoding: $0, as: UTF8.self) }
    return Int(index - first) < users.count ? (first, users) : nil
  }

  public func removeParts(ofBroadcast id: UInt64) throws(LogError) {
    try broadcastSQL.deleteParts.bind(1, id).run()
  }

  public func shared(_ id: Int64) throws(LogError) -> [UInt8]? {
    guard try broadcastSQL.shared.bind(1, id).step() else { return nil }
    defer { broadcastSQL.shared.reset() }
    return broadcastSQL.shared.blob(0)
  }
}
