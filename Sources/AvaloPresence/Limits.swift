/// The bounds of the presence worker.
enum PresenceLimits {
  /// SQLite's cache: rows are written, and read only at the start or for users who are away.
  static let cacheKiB = 512
  /// Connections in the registry; beyond it new ones are not kept, and said so.
  static let connectionsMax = 1_000_000
  /// Changes are written at most this often: a storm of connects is a few transactions.
  static let flushMilliseconds: Int64 = 250
}
