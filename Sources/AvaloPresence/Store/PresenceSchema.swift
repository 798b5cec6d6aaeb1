import GRDB

/// The file's tables, by release. Migrations are never changed, only added.
enum PresenceSchema {
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { db in
      try db.execute(
        sql: """
          CREATE TABLE connections (
            incarnation INTEGER NOT NULL, session INTEGER NOT NULL,
            user TEXT NOT NULL, device TEXT NOT NULL, platform INTEGER NOT NULL, connection TEXT NOT NULL,
            connected INTEGER NOT NULL, seen INTEGER NOT NULL,
            PRIMARY KEY (incarnation, session)
          ) WITHOUT ROWID;
          CREATE TABLE users (id TEXT PRIMARY KEY, seen INTEGER NOT NULL, platform INTEGER NOT NULL) WITHOUT ROWID;
          """)
    }
    migrator.registerMigration("2: lingers") { db in
      // Milliseconds since 1970 until which the device of an ended connection is taken to be there; NULL while it is open.
      try db.execute(sql: "ALTER TABLE connections ADD COLUMN lingers INTEGER")
    }
    return migrator
  }
}
