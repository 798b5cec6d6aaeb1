import GRDB

extension PresenceStore {
  /// Copies the registry as it is at this moment to `copy`, where nothing may be, while its owner goes on. Versions of
  /// what watchers are shown go on far above those that were given out since: after a restore nothing that is told is
  /// taken for old.
  static func snapshot(of path: String, to copy: String) throws {
    let source = try DatabaseQueue(path: path)
    try source.writeWithoutTransaction { try $0.execute(sql: "VACUUM INTO ?", arguments: [copy]) }
    try source.close()
    let stamped = try DatabaseQueue(path: copy)
    try stamped.write {
      try $0.execute(
        sql: "UPDATE counters SET value = value + ?", arguments: [PresenceLimits.copiedVersionsStep])
    }
    try stamped.close()
  }
}
