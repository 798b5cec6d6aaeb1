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
    migrator.registerMigration("3: what users say of themselves") { db in
      // All NULL: not said. `explicit` on a connection is its device's, `bare` on a user is no device's; `said` and
      // `bare_said` order them. `chats` are ids with spaces between.
      try db.execute(
        sql: """
          ALTER TABLE connections ADD COLUMN active INTEGER NOT NULL DEFAULT 0;
          ALTER TABLE connections ADD COLUMN explicit INTEGER;
          ALTER TABLE connections ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
          ALTER TABLE connections ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
          ALTER TABLE users DROP COLUMN platform;
          ALTER TABLE users ADD COLUMN active INTEGER NOT NULL DEFAULT 0;
          ALTER TABLE users ADD COLUMN custom TEXT;
          ALTER TABLE users ADD COLUMN activity TEXT;
          ALTER TABLE users ADD COLUMN activity_visibility INTEGER;
          ALTER TABLE users ADD COLUMN place TEXT;
          ALTER TABLE users ADD COLUMN latitude INTEGER;
          ALTER TABLE users ADD COLUMN longitude INTEGER;
          ALTER TABLE users ADD COLUMN location_visibility INTEGER;
          ALTER TABLE users ADD COLUMN chats TEXT;
          ALTER TABLE users ADD COLUMN bare INTEGER;
          ALTER TABLE users ADD COLUMN bare_platform INTEGER;
          ALTER TABLE users ADD COLUMN bare_said INTEGER;
          ALTER TABLE users ADD COLUMN bare_until INTEGER;
          ALTER TABLE users ADD COLUMN bare_bound INTEGER;
          CREATE INDEX users_bare ON users (id) WHERE bare IS NOT NULL;
          CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
          """)
    }
    return migrator
  }
}
