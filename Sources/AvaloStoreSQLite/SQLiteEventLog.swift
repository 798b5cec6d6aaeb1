import AvaloCore
import AvaloStore

/// The log in one SQLite file, owned by this process and used by the engine thread.
///
/// The way of an event: one row at the hot edge of `events`, one at the end of `recent`, and the same in memory. Later,
/// many at a time and in the order of topics, ``maintain(rows:before:)`` brings the index rows into the trees. Commits
/// go to the write-ahead log; a ``Checkpointer`` on a thread of its own copies that into the file.
public final class SQLiteEventLog: EventLog {
  public private(set) var identity: LogIdentity
  public var durability: Durability { file.durability }

  let file: LogFile
  private(set) var connection: Connection
  private(set) var sql: LogStatements
  private(set) var accessSQL: AccessStatements
  private(set) var readSQL: ReadStatements
  private(set) var broadcastSQL: BroadcastStatements
  private(set) var followSQL: FollowStatements
  let recent = RecentIndex()
  /// What the running transaction adds to `recent`.
  var staged = IndexTier()
  var sequence: Int64 = 0
  var eventNumber: Int64 = 0
  /// Bytes of records written since the checkpointer was last asked.
  var bytesWritten = 0
  var merge: Merge?
  var sweep = Sweep()
  /// Index rows that make a merge worth it.
  let mergeRows: Int
  private let lock: FileLock
  private let checkpointer: Checkpointer
  private var generator: any RandomNumberGenerator
  private var marks: LogMarks

  /// Takes the file's lock, then opens it. Throws when another process owns it, when it is damaged, foreign, or of a
  /// later release; it is left as it was.
  public convenience init(
    _ file: LogFile, nowMilliseconds: Int64, generator: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) throws(LogError) {
    try self.init(
      file, nowMilliseconds: nowMilliseconds, generator: generator, mergeRows: SQLiteLimits.mergeRows,
      lockMilliseconds: SQLiteLimits.lockMilliseconds)
  }

  init(
    _ file: LogFile, nowMilliseconds: Int64, generator: any RandomNumberGenerator, mergeRows: Int,
    lockMilliseconds: Int
  ) throws(LogError) {
    self.file = file
    self.mergeRows = mergeRows
    var generator = generator
    lock = try FileLock(beside: file.path, waiting: lockMilliseconds)  // before anything is opened
    let connection = try Connection(path: file.path)
    marks = try file.prepare(connection, nowMilliseconds: nowMilliseconds, generator: &generator)
    identity = marks.identity
    try SQLiteEventLog.configure(connection, durability: file.durability)
    self.connection = connection
    self.generator = generator
    sql = try LogStatements(connection)
    accessSQL = try AccessStatements(connection)
    readSQL = try ReadStatements(connection)
    broadcastSQL = try BroadcastStatements(connection)
    followSQL = try FollowStatements(connection)
    checkpointer = try Checkpointer(path: file.path)
    try loadRecent()
    checkpointer.start()
  }

  deinit { checkpointer.stop() }

  private static func configure(_ connection: Connection, durability: Durability) throws(LogError) {
    try connection.execute(
      """
      PRAGMA synchronous = \(durability == .disk ? "FULL" : "NORMAL");
      PRAGMA wal_autocheckpoint = 0;
      PRAGMA journal_size_limit = \(SQLiteLimits.walBytesKept);
      PRAGMA cache_size = -\(SQLiteLimits.ownerCacheKiB);
      PRAGMA temp_store = MEMORY;
      """)
  }

  /// Reads the index rows that wait to be merged. A merge that was under way begins again; it does no harm twice.
  private func loadRecent() throws(LogError) {
    var tier = IndexTier()
    sequence = 0
    let rows = try connection.prepare(
      """
      SELECT seq, topic, position, event, hash, content, accepted, until, chat, message, source FROM recent ORDER BY seq
      """)
    while try rows.step() {
      sequence = rows.integer(0)
      let row = IndexTier.Row(
        topic: rows.integer(1), position: rows.unsigned(2), event: rows.integer(3), hash: rows.unsigned(4),
        content: rows.unsigned(5), accepted: rows.integer(6), until: rows.integer(7))
      let message = ChatMessage(chat: rows.integer(8), message: rows.unsigned(9), source: rows.unsigned(10))
      tier.append(
        row, message: message.chat == 0 ? nil : IndexTier.Message(message, row, sequence: sequence))
    }
    recent.replace(tier)
    merge = nil
  }

  public var clockMark: ClockMark? { marks.clock }

  public func note(_ mark: ClockMark) throws(LogError) {
    try sql.noteClock.bind(1, mark.trusted).bind(2, mark.monotonic).run()
    marks.clock = mark
  }

  // MARK: Transactions

  public func begin() throws(LogError) { try sql.begin.run() }

  public func commit() throws(LogError) {
    try sql.commit.run()
    guard !staged.isEmpty else { return }
    recent.absorb(staged)
    staged.removeAll()
    if bytesWritten >= SQLiteLimits.checkpointBytes {
      bytesWritten = 0
      checkpointer.nudge()
    }
  }

  public func rollback() {
    staged.removeAll()
    // SQLite may have rolled back by itself; what else goes wrong here shows at the next use.
    if connection.isInTransaction { _ = try? sql.rollback.run() }
  }

  public func reopen() throws(LogError) {
    rollback()
    let connection = try Connection(path: file.path)
    try SQLiteEventLog.configure(connection, durability: durability)
    guard let marks = try LogMarks.read(connection) else {
      throw .corrupt(path: file.path, detail: "it has no identity")
    }
    // Whether it can be written again is the question, so that is what is asked.
    try connection.execute("BEGIN IMMEDIATE; UPDATE log SET clean = 0; COMMIT")
    sql = try LogStatements(connection)
    accessSQL = try AccessStatements(connection)
    readSQL = try ReadStatements(connection)
    broadcastSQL = try BroadcastStatements(connection)
    followSQL = try FollowStatements(connection)
    self.connection = connection
    self.marks = marks
    identity = marks.identity
    try loadRecent()
  }

  public func close() throws(LogError) {
    rollback()
    checkpointer.stop()
    // Everything first, on the disk; then the mark that says so, on the disk.
    try connection.execute("PRAGMA synchronous = FULL")
    _ = try connection.checkpoint()
    marks.clean = true
    try marks.write(connection)
    try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
  }

  public func mint(nowMilliseconds: Int64) throws(LogError) {
    var minted = marks
    minted.identity = identity.next(nowMilliseconds: nowMilliseconds, using: &generator)
    try begin()
    do {
      try LogMarks.clampCursors(connection)
      try minted.write(connection)
      try commit()
    } catch {
      rollback()
      throw error
    }
    marks = minted
    identity = minted.identity
  }

  // MARK: Housekeeping

  public func statistics() throws(LogError) -> LogStatistics {
    LogStatistics(
      topics: Int(try connection.integer("SELECT coalesce(max(id), 0) FROM topics")),
      bytes: file.bytes)
  }

  /// Whether the write-ahead log is due for its restart, for which the owner has to stand still; done if so.
  func restartLogIfDue() throws(LogError) {
    guard checkpointer.takeRequest() else { return }
    _ = try connection.checkpoint()
  }

  public func reader() throws(LogError) -> any EventLogReader {
    try SQLiteEventLogReader(path: file.path, recent: recent)
  }
}
