import AvaloStore

extension LogFile {
  /// Copies the log as it is at this moment to `copy`, where nothing may be, while its owner goes on. What is committed
  /// meanwhile waits in the write-ahead log, which grows for as long.
  ///
  /// The copy is stamped as one (delivery.md, rule 4): whoever opens it begins a new generation, so that no client takes
  /// an offset of the one history for the same offset of another. Versions of keyed state go on far above those that were
  /// given out since, so that what is told after a restore is not taken for old.
  public func snapshot(to copy: String) throws(LogError) {
    let source = try Connection(path: path, readOnly: true)
    defer { source.close() }
    try checkOwner(source)
    try source.prepare("VACUUM INTO ?").bind(1, copy).run()
    let connection = try Connection(path: copy)
    defer { connection.close() }
    guard var marks = try LogMarks.read(connection) else {
      throw .corrupt(path: path, detail: "it has no identity")
    }
    marks.boot = LogMarks.copied
    marks.clean = false
    try connection.execute("PRAGMA synchronous = FULL; BEGIN IMMEDIATE")
    try marks.write(connection)
    try connection.execute(
      """
      INSERT INTO recent (seq, topic, position, event, hash, content, accepted, until)
        SELECT coalesce(max(seq), 0) + \(SQLiteLimits.copiedSequenceStep), 0, 0, 0, 0, 0, 0, 0 FROM recent;
      COMMIT
      """)
  }
}
