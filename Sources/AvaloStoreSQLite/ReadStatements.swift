import AvaloStore

/// The owner's statements about read state, prepared once.
struct ReadStatements {
  let insertMessage: Statement
  let messageNamed: Statement
  let messagesAfter: Statement
  let nextChat: Statement
  let sweepMessages: Statement
  let deleteMessage: Statement

  let marker: Statement
  let upsertMarker: Statement
  let markersOfChat: Statement
  let markersAbove: Statement
  let markersOfUser: Statement
  let deleteMarker: Statement

  let topicName: Statement
  let record: Statement

  init(_ db: Connection) throws(LogError) {
    insertMessage = try db.prepare("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
    messageNamed = try db.prepare(
      "SELECT seq, position, event, message, source FROM messages WHERE scope = ? AND chat = ? AND message = ?")
    messagesAfter = try db.prepare(
      """
      SELECT seq, position, event, message, source FROM messages
      WHERE scope = ? AND chat = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?
      """)
    nextChat = try db.prepare("SELECT chat FROM messages WHERE scope = ? AND chat > ? ORDER BY chat LIMIT 1")
    sweepMessages = try db.prepare(
      """
      SELECT m.scope, m.chat, m.seq, m.event, m.position, coalesce(t.floor, 0)
      FROM messages m LEFT JOIN topics t ON t.id = m.scope
      WHERE (m.scope, m.chat, m.seq) > (?, ?, ?) ORDER BY m.scope, m.chat, m.seq LIMIT ?
      """)
    deleteMessage = try db.prepare("DELETE FROM messages WHERE scope = ? AND chat = ? AND seq = ?")

    marker = try db.prepare("SELECT upTo, version, moved, message FROM markers WHERE user = ? AND chat = ?")
    upsertMarker = try db.prepare(
      """
      INSERT INTO markers VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
      SET upTo = excluded.upTo, version = excluded.version, moved = excluded.moved, message = excluded.message
      """)
    markersOfChat = try db.prepare(
      """
      SELECT user, upTo, version, moved, message FROM markers
      WHERE chat = ? AND moved >= ? ORDER BY version DESC LIMIT ?
      """)
    markersAbove = try db.prepare(
      """
      SELECT user, upTo, version, moved, message, chat FROM markers
      WHERE version > ? ORDER BY version DESC LIMIT ?
      """)
    markersOfUser = try db.prepare("SELECT chat FROM markers WHERE user = ? LIMIT ?")
    deleteMarker = try db.prepare("DELETE FROM markers WHERE user = ? AND chat = ?")

    topicName = try db.prepare("SELECT name FROM topics WHERE id = ?")
    record = try db.prepare("SELECT topic, record FROM events WHERE id = ?")
  }
}
