/// The bounds of the presence worker, each with its reason.
enum PresenceLimits {
  /// SQLite's cache for the writer, which reads at the start only.
  static let cacheKiB = 128
  /// The same for who reads users that are away: the upper levels of the tree.
  static let viewCacheKiB = 1024
  /// Users that one statement looks up: as many as one question of a gateway names.
  static let usersPerStatement = 256
  /// Users asked for in questions that wait for the file, in all: some tenths of a second. What comes on top is refused.
  static let usersAskedMax = 20_000
  /// Users one viewer may ask for in a second, over all gateways: ten full calls. Answering costs this worker's loop some
  /// microseconds a user.
  static let usersOfViewerMax = 10_000
  /// Viewers whose questions are counted at a time; beyond it they are counted together.
  static let viewersMax = 10_000
  /// A question that has waited longer for the file is answered unread: just before its gateway gives it up.
  static let queryMilliseconds: Int64 = 4_000
  /// Users of whom the file knows nothing and who were asked for lately, in each of two generations: some 50 bytes each.
  static let absentMax = 50_000
  /// A generation of them: so long, and twice at most, nobody asks the file again.
  static let absentMilliseconds: Int64 = 30_000
  /// Watched or changing users asked of the file at once; the others wait for the answer.
  static let usersLoadedMax = 2_048
  /// The write-ahead log is cut to this after a storm made it longer.
  static let journalBytesKept = 4 << 20
  /// Connections in the registry; beyond it new ones are not kept, and said so.
  static let connectionsMax = 1_000_000
  /// Changes are written at most this often: a storm of connects is a few transactions.
  static let tickMilliseconds: Int64 = 100
  /// Rows of one transaction: some tens of milliseconds, so that a question to the file does not wait longer.
  static let batchRowsMax = 2_000
  /// To the second attempt to write to a file that took nothing: a moment's lock is over by then.
  static let retryMillisecondsMin: Int64 = 250
  /// To the later ones, doubling up to this: soon enough after an operator made room.
  static let retryMillisecondsMax: Int64 = 5_000
  /// Users who left while the file took nothing, about 100 bytes each; beyond it the first of them are forgotten.
  static let unwrittenUsersMax = 500_000
  /// A time in the file that is further back counts as this far: a clock was wrong.
  static let ageMillisecondsMax: Int64 = 365 * 24 * 3_600_000
  /// After the start: links are made again within a second, and a snapshot takes some milliseconds.
  static let settleMilliseconds: Int64 = 2_000
  /// A gateway that lives links anew in less: where users do not linger, the end of its link does not make them go.
  static let relinkMilliseconds: Int64 = 5_000
  /// A status set over HTTP alone, from the last call (design: 5 minutes).
  static let bareStatusMilliseconds: Int64 = 300_000
  /// Numbers that the file hands out at once: a write for every half a million changes.
  static let versionsReserved: UInt64 = 1_000_000
  /// Between two looks for users who have done nothing for long: away a few seconds late is soon enough.
  static let idleLookMilliseconds: Int64 = 5_000
  /// A typing indicator, from the last call (design: 5 seconds).
  static let typingMilliseconds: Int64 = 5_000
  /// Between two that are sent of one user in one chat (design: one a second).
  static let typingIntervalMilliseconds: Int64 = 1_000
  /// Users and chats with somebody typing; beyond it new ones are dropped. 100 000 people typing at once are some
  /// hundreds of bytes each.
  static let typingMax = 100_000
  /// How long a list of connections waits for gateways to say what they are subscribed to.
  static let describeMilliseconds: Int64 = 2_000
  /// How far a copy's versions are ahead of its original's: as many changes as nobody makes between a backup and its
  /// restore, and so little that clients' numbers (2^53) last for two million restores.
  static let copiedVersionsStep: Int64 = 1 << 32
}
