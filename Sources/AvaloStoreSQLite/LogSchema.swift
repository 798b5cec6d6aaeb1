import GRDB

/// The file's shape and how older shapes become it. Migrations are never changed once released, only added.
enum LogSchema {
  /// Marks a file as an event log of ours: "AVLO".
  static let applicationID: Int32 = 0x4156_4C4F

  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { db in
      try db.execute(sql: "PRAGMA application_id = \(applicationID)")
      try db.execute(sql: first)
    }
    migrator.registerMigration("access") { db in try db.execute(sql: access) }
    migrator.registerMigration("clock") { db in try db.execute(sql: clock) }
    migrator.registerMigration("reads") { db in try db.execute(sql: reads) }
    migrator.registerMigration("broadcasts") { db in try db.execute(sql: broadcasts) }
    // What a link has missed is found by its version, over all chats.
    migrator.registerMigration("versions") { db in
      try db.execute(sql: "CREATE INDEX markersVersion ON markers (version)")
    }
    migrator.registerMigration("followers") { db in try db.execute(sql: followers) }
    // When a device was last subscribed there, for the one that makes room; 0 where nobody knows.
    migrator.registerMigration("cursors") { db in
      try db.execute(sql: "ALTER TABLE cursors ADD COLUMN used INTEGER NOT NULL DEFAULT 0")
    }
    // Which request moved a marker, and what it was answered: its repetition is answered the same.
    migrator.registerMigration("requests") { db in
      try db.execute(
        sql: """
          ALTER TABLE markers ADD COLUMN request INTEGER NOT NULL DEFAULT 0;
          ALTER TABLE markers ADD COLUMN marked INTEGER NOT NULL DEFAULT 0;
          """)
    }
    // A device that is named by its connection alone.
    migrator.registerMigration("passing") { db in
      try db.execute(sql: "ALTER TABLE devices ADD COLUMN passing INTEGER NOT NULL DEFAULT 0")
    }
    // Where a device began in a topic; 0 where nobody knows.
    migrator.registerMigration("began") { db in
      try db.execute(sql: "ALTER TABLE cursors ADD COLUMN began INTEGER NOT NULL DEFAULT 0")
    }
    // What the polls of a device are of that is named by its connection.
    migrator.registerMigration("polled") { db in
      try db.execute(sql: "ALTER TABLE devices ADD COLUMN polled TEXT NOT NULL DEFAULT ''")
    }
    return migrator
  }

  /// Broadcasts by their idempotency key's hash (`state`: 1 receiving, 2 running, 3 finished), and what is stored for one
  /// until it is finished: its event under -1, until that is in `events`, and its recipients, one id a line, under the
  /// number of the first. Held events are found by their key, too.
  private static let broadcasts = """
    CREATE TABLE broadcasts (
      id INTEGER PRIMARY KEY,
      owner TEXT NOT NULL, event TEXT NOT NULL, content INTEGER NOT NULL, attempt INTEGER NOT NULL,
      state INTEGER NOT NULL, recipients INTEGER NOT NULL, received INTEGER NOT NULL,
      done INTEGER NOT NULL, failed INTEGER NOT NULL, started INTEGER NOT NULL, finished INTEGER NOT NULL,
      expires INTEGER NOT NULL, shared INTEGER NOT NULL
    );
    CREATE TABLE broadcastParts (
      broadcast INTEGER NOT NULL, first INTEGER NOT NULL, bytes BLOB NOT NULL,
      PRIMARY KEY (broadcast, first)
    );
    CREATE INDEX delayedHash ON delayed (hash);
    """

  /// Who follows the log over all topics (`types` has a bit for each), and the events that are kept for them, in the order
  /// of the log's sequence. `event` may be gone already.
  private static let followers = """
    CREATE TABLE followers (
      name TEXT PRIMARY KEY, types INTEGER NOT NULL, acknowledged INTEGER NOT NULL,
      missed INTEGER NOT NULL, seen INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE followed (
      seq INTEGER PRIMARY KEY, type INTEGER NOT NULL,
      topic INTEGER NOT NULL, position INTEGER NOT NULL, event INTEGER NOT NULL
    );
    """

  /// Messages of chats by the topic they lie in, the chat and the log's sequence, each message once; and up to where
  /// users have read. A message waits in `recent`, too, until it is merged.
  private static let reads = """
    ALTER TABLE recent ADD COLUMN chat INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE recent ADD COLUMN message INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE recent ADD COLUMN source INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE messages (
      scope INTEGER NOT NULL, chat INTEGER NOT NULL, seq INTEGER NOT NULL,
      position INTEGER NOT NULL, event INTEGER NOT NULL, message INTEGER NOT NULL, source INTEGER NOT NULL,
      PRIMARY KEY (scope, chat, seq)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX messagesByID ON messages (scope, chat, message);
    CREATE TABLE markers (
      user TEXT NOT NULL, chat INTEGER NOT NULL,
      upTo INTEGER NOT NULL, version INTEGER NOT NULL, moved INTEGER NOT NULL, message TEXT NOT NULL,
      PRIMARY KEY (user, chat)
    ) WITHOUT ROWID;
    CREATE INDEX markersOfChat ON markers (chat, version);
    """

  /// What both clocks said when that was noted last; 0 for never.
  private static let clock = """
    ALTER TABLE log ADD COLUMN trusted INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE log ADD COLUMN monotonic INTEGER NOT NULL DEFAULT 0;
    """

  /// How an event lies in it:
  ///
  /// - `events` holds records in the order of their expiry (`id` = expiry in ms << 21 | number), so that appending
  ///   works at a few hot edges and expiry cuts off the table's beginning.
  /// - `recent` holds the index rows of the last events in the order of arrival. They are in the owner's memory too, and
  ///   are merged into `positions` and `keys` many at a time, in the order of topics.
  /// - `positions` finds events by topic and offset; `event` may be gone already. A topic's last row is never deleted:
  ///   it is the head. A broadcast is one row in `events` with a row in `positions` for each inbox.
  /// - `keys` are the idempotency keys, on their own so that trimming events forgets none.
  private static let first = """
    CREATE TABLE log (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      generation INTEGER NOT NULL,
      epochLow INTEGER NOT NULL, epochHigh INTEGER NOT NULL,
      keyLow INTEGER NOT NULL, keyHigh INTEGER NOT NULL,
      boot TEXT NOT NULL,
      durability INTEGER NOT NULL,
      clean INTEGER NOT NULL
    );
    CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, floor INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE events (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, position INTEGER NOT NULL, record BLOB NOT NULL);
    CREATE TABLE recent (
      seq INTEGER PRIMARY KEY,
      topic INTEGER NOT NULL, position INTEGER NOT NULL, event INTEGER NOT NULL,
      hash INTEGER NOT NULL, content INTEGER NOT NULL, accepted INTEGER NOT NULL, until INTEGER NOT NULL
    );
    CREATE TABLE positions (
      topic INTEGER NOT NULL, position INTEGER NOT NULL, event INTEGER NOT NULL,
      PRIMARY KEY (topic, position)
    ) WITHOUT ROWID;
    CREATE TABLE keys (
      topic INTEGER NOT NULL, hash INTEGER NOT NULL,
      content INTEGER NOT NULL, position INTEGER NOT NULL,
      accepted INTEGER NOT NULL, until INTEGER NOT NULL,
      PRIMARY KEY (topic, hash)
    ) WITHOUT ROWID;
    CREATE TABLE devices (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      user TEXT NOT NULL, device TEXT NOT NULL, platform INTEGER NOT NULL, seen INTEGER NOT NULL,
      UNIQUE (user, device)
    );
    CREATE TABLE cursors (
      device INTEGER NOT NULL, topic INTEGER NOT NULL, position INTEGER NOT NULL,
      PRIMARY KEY (device, topic)
    ) WITHOUT ROWID;
    CREATE TABLE delayed (
      id INTEGER PRIMARY KEY,
      topic TEXT NOT NULL, hash INTEGER NOT NULL, content INTEGER NOT NULL, record BLOB NOT NULL
    );
    """

  /// Members of chats, by the number of the chat's topic, each with the first offset that is theirs; revoked tokens (`kind`:
  /// 1 a user's, 2 one token, 3 everybody's); the counter of changes; inboxes that are being erased.
  private static let access = """
    CREATE TABLE access (id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL);
    INSERT INTO access VALUES (1, 0);
    CREATE TABLE members (
      topic INTEGER NOT NULL, user TEXT NOT NULL, since INTEGER NOT NULL,
      PRIMARY KEY (topic, user)
    ) WITHOUT ROWID;
    CREATE INDEX membersUser ON members (user);
    CREATE TABLE revocations (
      kind INTEGER NOT NULL, name TEXT NOT NULL, issued INTEGER NOT NULL, until INTEGER NOT NULL,
      PRIMARY KEY (kind, name)
    ) WITHOUT ROWID;
    CREATE TABLE erasures (user TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX delayedTopic ON delayed (topic);
    """
}
