/// The bounds of the SQLite engine.
enum SQLiteLimits {
  /// Index rows that wait in memory before they are merged into the file's trees in topic order. Merging this many at
  /// a time touches each page for several rows at once (a third of the processor time and a fifth of the bytes of
  /// writing them one by one); a restart reads them back in some 50 ms.
  static let mergeRows = 1 << 16
  /// Pages SQLite keeps in memory for the owner, in KiB: the upper levels of the trees and the edges of the tables.
  static let ownerCacheKiB = 8 << 10
  /// The same for each reader, which sees a part of the file.
  static let readerCacheKiB = 4 << 10
  /// How often the write-ahead log is copied into the file when nothing asks for it earlier.
  static let checkpointMilliseconds = 1000
  /// Bytes of records after which the owner asks for it.
  static let checkpointBytes = 16 << 20
  /// How soon again when there was much to copy.
  static let checkpointBusyMilliseconds = 100
  /// Frames (pages of 4 KiB) in the write-ahead log above which the owner is asked to pause for its restart.
  static let walFramesMax = 16 << 10
  /// With so few frames left to copy the owner copies them itself between two turns.
  static let walFramesInline = 512
  /// With so many frames the owner copies what is left, however much: it writes faster than the disk.
  static let walFramesHard = 2 * walFramesMax
  /// The write-ahead log's file is cut back to this after a restart.
  static let walBytesKept = 64 << 20
  /// How long another connection's short lock is waited for.
  static let busyMilliseconds: Int32 = 5000
  /// How long a starting owner waits for a stopping one to let go of the file.
  static let lockMilliseconds = 5000
  /// Numbers of topics a reader remembers.
  static let readerTopicsMax = 1 << 14
  /// Event ids with the same expiry: the low bits of an id.
  static let eventNumberBits: Int64 = 21
  /// How far a copy's sequence is ahead of its original's: as many changes as nobody makes between a backup and its
  /// restore, and so little that clients' numbers (2^53) last for two million restores.
  static let copiedSequenceStep: Int64 = 1 << 32
  /// The lowest id of an event that expires later than so many milliseconds since 1970.
  static func firstEvent(expiringAfter expired: Int64) -> Int64 {
    expired >= Int64.max >> eventNumberBits ? .max : (expired + 1) << eventNumberBits
  }
}
