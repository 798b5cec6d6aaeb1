import AvaloStore

/// The owner's statements about read state, prepared once.
struct ReadStatements {
  let lookups: LookupStatements
  let insertMessage: Statement
  let sweepMessages: Statement
  let deleteMessage: Statement

  let upsertMarker: Statement
  let markersAbove: Statement
  let markersOfUser: Statement
  let deleteMarker: Statement

  let record: Statement

  init(_ db: Connection) throws(LogError) {
    lookups = try LookupStatements(db)
    insertMessage = try db.prepare("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
    sweepMessages = try db.prepare(
      """
      SELECT m.scope, m.chat, m.seq, m.event, m.position, coalesce(t.floor, 0)
      FROM messages m LEFT JOIN topics t ON t.id = m.scope
      WHERE (m.scope, m.chat, m.seq) > (?, ?, ?) ORDER BY m.scope, m.chat, m.seq LIMIT ?
      """)
    deleteMessage = try db.prepare("DELETE FROM messages WHERE scope = ? AND chat = ? AND seq = ?")

    upsertMarker = try db.prepare(
      """
      INSERT INTO markers VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
      SET upTo = excluded.upTo, version = excluded.version, moved = excluded.moved, message = excluded.message,
        request = excluded.request, marked = excluded.marked
      """)
    markersAbove = try db.prepare(
      """
      SELECT user, upTo, version, moved, message, request, marked, chat FROM markers
      WHERE version > ? ORDER BY version DESC LIMIT ?
      """)
    markersOfUser = try db.prepare("SELECT chat FROM markers WHERE user = ? LIMIT ?")
    deleteMarker = try db.prepare("DELETE FROM markers WHERE user = ? AND chat = ?")

    record = try db.prepare("SELECT topic, record FROM events WHERE id = ?")
  }
}
