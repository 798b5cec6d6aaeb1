import AvaloStore

/// The owner's statements about broadcasts, prepared once.
struct BroadcastStatements {
  let named: Statement
  let unfinished: Statement
  let upsert: Statement
  let delete: Statement
  let outlived: Statement
  let surplus: Statement

  let upsertPart: Statement
  let part: Statement
  let partBefore: Statement
  let deleteParts: Statement
  let shared: Statement

  private static let columns =
    """
    id, owner, event, content, attempt, state, recipients, received, done, failed, started, finished, expires, shared
    """

  init(_ db: Connection) throws(LogError) {
    let columns = BroadcastStatements.columns
    named = try db.prepare("SELECT \(columns) FROM broadcasts WHERE id = ?")
    unfinished = try db.prepare("SELECT \(columns) FROM broadcasts WHERE state <> 3 ORDER BY started, id")
    upsert = try db.prepare(
      "INSERT OR REPLACE INTO broadcasts (\(columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    delete = try db.prepare("DELETE FROM broadcasts WHERE id = ?")
    outlived = try db.prepare("SELECT id FROM broadcasts WHERE state = 3 AND finished < ?")
    surplus = try db.prepare(
      "SELECT id FROM broadcasts WHERE state = 3 ORDER BY finished DESC, id DESC LIMIT -1 OFFSET ?")

    upsertPart = try db.prepare("INSERT OR REPLACE INTO broadcastParts (broadcast, first, bytes) VALUES (?, ?, ?)")
    part = try db.prepare("SELECT first, bytes FROM broadcastParts WHERE broadcast = ? AND first = ?")
    partBefore = try db.prepare(
      """
      SELECT first, bytes FROM broadcastParts
      WHERE broadcast = ? AND first BETWEEN 0 AND ? ORDER BY first DESC LIMIT 1
      """)
    deleteParts = try db.prepare("DELETE FROM broadcastParts WHERE broadcast = ?")
    shared = try db.prepare("SELECT record FROM events WHERE id = ? AND topic = 0")
  }
}
