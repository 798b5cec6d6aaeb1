import AvaloStore

/// The owner's statements about access, prepared once.
struct AccessStatements {
  let position: Statement
  let setPosition: Statement

  let memberCount: Statement
  let membersAfter: Statement
  let upsertMember: Statement
  let deleteMember: Statement
  let membershipsOf: Statement

  let revocations: Statement
  let upsertRevocation: Statement
  let deleteRevocation: Statement

  let erasures: Statement
  let upsertErasure: Statement
  let deleteErasure: Statement
  let delayedOf: Statement

  init(_ db: Connection) throws(LogError) {
    position = try db.prepare("SELECT position FROM access")
    setPosition = try db.prepare("UPDATE access SET position = ?")

    memberCount = try db.prepare("SELECT count(*) FROM members WHERE topic = ?")
    membersAfter = try db.prepare(
      "SELECT user, since FROM members WHERE topic = ? AND user > ? ORDER BY user LIMIT ?")
    upsertMember = try db.prepare(
      "INSERT INTO members VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET since = excluded.since")
    deleteMember = try db.prepare("DELETE FROM members WHERE topic = ? AND user = ?")
    membershipsOf = try db.prepare("SELECT topic FROM members WHERE user = ? LIMIT ?")

    revocations = try db.prepare("SELECT kind, name, issued, until FROM revocations")
    upsertRevocation = try db.prepare(
      """
      INSERT INTO revocations VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
      SET issued = excluded.issued, until = excluded.until
      """)
    deleteRevocation = try db.prepare("DELETE FROM revocations WHERE kind = ? AND name = ?")

    erasures = try db.prepare("SELECT user, position FROM erasures")
    upsertErasure = try db.prepare(
      "INSERT INTO erasures VALUES (?, ?) ON CONFLICT DO UPDATE SET position = excluded.position")
    deleteErasure = try db.prepare("DELETE FROM erasures WHERE user = ?")
    delayedOf = try db.prepare("SELECT id FROM delayed WHERE topic = ? LIMIT ?")
  }
}
