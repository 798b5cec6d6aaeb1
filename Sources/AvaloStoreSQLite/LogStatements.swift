import AvaloStore

/// Every statement of the owner, prepared once.
struct LogStatements {
  let begin: Statement
  let commit: Statement
  let rollback: Statement

  let noteClock: Statement

  let topicNamed: Statement
  let createTopic: Statement
  let headOf: Statement
  let floorOf: Statement
  let setFloor: Statement

  let insertEvent: Statement
  let insertRecent: Statement
  let positionsFrom: Statement
  let deletePositionsUpTo: Statement
  let eventHead: Statement
  let deleteEvent: Statement
  let expired: Statement
  let deleteExpired: Statement

  let key: Statement
  let insertPosition: Statement
  let upsertKey: Statement
  let sweepPositions: Statement
  let deletePosition: Statement
  let sweepKeys: Statement
  let deleteKey: Statement
  let deleteRecent: Statement

  let deviceNamed: Statement
  let devicesOf: Statement
  let devicesAfter: Statement
  let insertDevice: Statement
  let touchDevice: Statement
  let noteDevicePolled: Statement
  let deleteDevice: Statement
  let deleteCursors: Statement
  let deleteCursor: Statement
  let cursorsOf: Statement
  let upsertCursor: Statement

  let insertDelayed: Statement
  let dueDelayed: Statement
  let nextDelayed: Statement
  let deleteDelayed: Statement
  let delayedNamed: Statement

  init(_ db: Connection) throws(LogError) {
    begin = try db.prepare("BEGIN")
    commit = try db.prepare("COMMIT")
    rollback = try db.prepare("ROLLBACK")

    noteClock = try db.prepare("UPDATE log SET trusted = ?, monotonic = ?")

    topicNamed = try db.prepare("SELECT id, floor FROM topics WHERE name = ?")
    createTopic = try db.prepare("INSERT INTO topics (name) VALUES (?) RETURNING id")
    headOf = try db.prepare("SELECT coalesce(max(position), 0) FROM positions WHERE topic = ?")
    floorOf = try db.prepare("SELECT floor FROM topics WHERE id = ?")
    setFloor = try db.prepare("UPDATE topics SET floor = ?2 WHERE id = ?1")

    insertEvent = try db.prepare("INSERT INTO events (id, topic, position, record) VALUES (?, ?, ?, ?)")
    insertRecent = try db.prepare("INSERT INTO recent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    positionsFrom = try db.prepare(
      "SELECT position, event FROM positions WHERE topic = ? AND position > ? ORDER BY position")
    deletePositionsUpTo = try db.prepare("DELETE FROM positions WHERE topic = ? AND position <= ?")
    eventHead = try db.prepare("SELECT topic, substr(record, 1, 1), length(record) FROM events WHERE id = ?")
    deleteEvent = try db.prepare("DELETE FROM events WHERE id = ?")
    expired = try db.prepare(
      "SELECT id, topic, position, substr(record, 1, 1), length(record) FROM events WHERE id < ? ORDER BY id LIMIT ?")
    deleteExpired = try db.prepare("DELETE FROM events WHERE id <= ?")

    key = try db.prepare("SELECT content, position, accepted, until FROM keys WHERE topic = ? AND hash = ?")
    insertPosition = try db.prepare("INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
    upsertKey = try db.prepare(
      """
      INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
      SET content = excluded.content, position = excluded.position, accepted = excluded.accepted, until = excluded.until
      """)
    sweepPositions = try db.prepare(
      """
      SELECT topic, position, event FROM positions WHERE (topic, position) > (?, ?) ORDER BY topic, position LIMIT ?
      """)
    deletePosition = try db.prepare("DELETE FROM positions WHERE topic = ? AND position = ?")
    sweepKeys = try db.prepare(
      """
      SELECT k.topic, k.hash, k.position, k.accepted, k.until, coalesce(t.floor, 0)
      FROM keys k LEFT JOIN topics t ON t.id = k.topic
      WHERE (k.topic, k.hash) > (?, ?) ORDER BY k.topic, k.hash LIMIT ?
      """)
    deleteKey = try db.prepare("DELETE FROM keys WHERE topic = ? AND hash = ?")
    deleteRecent = try db.prepare("DELETE FROM recent WHERE seq <= ?")

    let device = "SELECT id, device, platform, seen, passing, polled FROM devices"
    deviceNamed = try db.prepare("\(device) WHERE user = ? AND device = ?")
    devicesOf = try db.prepare("\(device) WHERE user = ? ORDER BY seen, id")
    devicesAfter = try db.prepare("\(device) WHERE id > ? ORDER BY id LIMIT ?")
    insertDevice = try db.prepare(
      "INSERT INTO devices (user, device, platform, seen, passing) VALUES (?, ?, ?, ?, ?) RETURNING id")
    touchDevice = try db.prepare("UPDATE devices SET platform = coalesce(?2, platform), seen = ?3 WHERE id = ?1")
    noteDevicePolled = try db.prepare("UPDATE devices SET polled = ?2 WHERE id = ?1")
    deleteDevice = try db.prepare("DELETE FROM devices WHERE id = ?")
    deleteCursors = try db.prepare("DELETE FROM cursors WHERE device = ?")
    deleteCursor = try db.prepare("DELETE FROM cursors WHERE device = ? AND topic = ?")
    cursorsOf = try db.prepare("SELECT topic, position, used, began FROM cursors WHERE device = ?")
    upsertCursor = try db.prepare(
      """
      INSERT INTO cursors VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET position = excluded.position, used = excluded.used
      """)

    insertDelayed = try db.prepare("INSERT INTO delayed (id, topic, hash, content, record) VALUES (?, ?, ?, ?, ?)")
    dueDelayed = try db.prepare(
      "SELECT id, topic, hash, content, record FROM delayed WHERE id < ? ORDER BY id LIMIT ?")
    nextDelayed = try db.prepare("SELECT id FROM delayed ORDER BY id LIMIT 1")
    deleteDelayed = try db.prepare("DELETE FROM delayed WHERE id = ?")
    delayedNamed = try db.prepare("SELECT id FROM delayed WHERE hash = ? AND topic = ? ORDER BY id LIMIT 1")
  }
}
