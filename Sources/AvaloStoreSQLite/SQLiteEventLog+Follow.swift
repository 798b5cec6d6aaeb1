import AvaloCore
import AvaloStore

// Followers, and what is kept for them: one short row at the end of a table for each followed event, in the event's own
// transaction, and nothing while nobody follows.
extension SQLiteEventLog {
  public func followers() throws(LogError) -> [StoredFollower] {
    var followers: [StoredFollower] = []
    while try followSQL.followers.step() {
      let row = followSQL.followers
      followers.append(
        StoredFollower(
          name: row.text(0), types: EventTypes(rawValue: row.unsigned(1)), acknowledged: row.unsigned(2),
          missed: row.unsigned(3), seen: row.integer(4)))
    }
    followSQL.followers.reset()
    return followers
  }

  public func put(_ follower: StoredFollower) throws(LogError) {
    try followSQL.upsertFollower.bind(1, follower.name).bind(2, follower.types.rawValue)
      .bind(3, follower.acknowledged).bind(4, follower.missed).bind(5, follower.seen).run()
  }

  public func removeFollower(_ name: String) throws(LogError) { try followSQL.deleteFollower.bind(1, name).run() }

  public func followLast(_ type: EventType) throws(LogError) {
    guard let row = staged.rows.last, row.event != 0 else { preconditionFailure("no event was appended before") }
    try followSQL.insertFollowed.bind(1, sequence).bind(2, Int64(type.rawValue)).bind(3, row.topic)
      .bind(4, row.position).bind(5, row.event).run()
  }

  public func followedCount() throws(LogError) -> Int {
    Int(try connection.integer("SELECT count(*) FROM followed"))
  }

  public func dropFollowed(upTo sequence: UInt64, limit: Int) throws(LogError) -> [Followed] {
    var dropped: [Followed] = []
    let row = followSQL.oldestFollowed.bind(1, Int64(clamping: sequence)).bind(2, Int64(limit))
    while try row.step() {
      guard let type = EventType(rawValue: UInt8(truncatingIfNeeded: row.integer(1))) else { continue }
      dropped.append(Followed(sequence: row.unsigned(0), type: type))
    }
    row.reset()
    if let last = dropped.last { try followSQL.deleteFollowed.bind(1, last.sequence).run() }
    return dropped
  }
}

/// The owner's statements about followers, prepared once.
struct FollowStatements {
  let followers: Statement
  let upsertFollower: Statement
  let deleteFollower: Statement
  let insertFollowed: Statement
  let oldestFollowed: Statement
  let deleteFollowed: Statement

  init(_ db: Connection) throws(LogError) {
    followers = try db.prepare("SELECT name, types, acknowledged, missed, seen FROM followers ORDER BY name")
    upsertFollower = try db.prepare("INSERT OR REPLACE INTO followers VALUES (?, ?, ?, ?, ?)")
    deleteFollower = try db.prepare("DELETE FROM followers WHERE name = ?")
    insertFollowed = try db.prepare("INSERT INTO followed VALUES (?, ?, ?, ?, ?)")
    oldestFollowed = try db.prepare("SELECT seq, type FROM followed WHERE seq <= ? ORDER BY seq LIMIT ?")
    deleteFollowed = try db.prepare("DELETE FROM followed WHERE seq <= ?")
  }
}

/// Reads pages for followers, in a view of the file that a page begins and ends.
struct FollowReader {
  private let followed: Statement
  private let record: Statement

  init(_ db: Connection) throws(LogError) {
    followed = try db.prepare(
      """
      SELECT f.seq, f.type, f.topic, f.position, f.event, t.name, max(t.floor, coalesce(e.position, 0))
      FROM followed f JOIN topics t ON t.id = f.topic
      LEFT JOIN erasures e ON substr(t.name, 1, 5) = 'user:' AND e.user = substr(t.name, 6)
      WHERE f.seq > ? ORDER BY f.seq LIMIT ?
      """)
    record = try db.prepare("SELECT topic, position, record FROM events WHERE id = ?")
  }

  func page(_ request: FollowRequest) throws(LogError) -> FollowPage {
    var page = FollowPage(through: request.after)
    followed.bind(1, Int64(clamping: request.after)).bind(2, Int64(StoreLimits.pageRowsMax))
    defer { followed.reset() }
    while try followed.step() {
      page.through = followed.unsigned(0)
      let type = EventType(rawValue: UInt8(truncatingIfNeeded: followed.integer(1)))
      guard let type, request.types.contains(type) else { continue }
      guard let found = try event(at: request.nowMilliseconds) else {
        page.gone += 1
        continue
      }
      let row = FollowPage.Row(
        sequence: page.through, topic: followed.text(5), offset: followed.unsigned(3), record: found)
      guard page.add(row, of: request) else { break }
    }
    return page
  }

  /// The row's event, unless it expired or is gone. A broadcast's record may be there for the sake of others: of an inbox
  /// that is erased, or is being erased, nothing goes on.
  private func event(at now: Int64) throws(LogError) -> [UInt8]? {
    guard followed.unsigned(3) > followed.unsigned(6), followed.integer(4) >> SQLiteLimits.eventNumberBits > now,
      try record.bind(1, followed.integer(4)).step()
    else { return nil }
    defer { record.reset() }
    // Another event under this number means that ours was evicted and its number was used again.
    let isShared = record.integer(0) == 0
    guard isShared || (record.integer(0) == followed.integer(2) && record.integer(1) == followed.integer(3)) else {
      return nil
    }
    return record.blob(2)
  }

  func reset() {
    followed.reset()
    record.reset()
  }
}
