/// The bounds of the tool.
enum CtlLimits {
  /// Bytes that a backup copies at a time.
  static let copyBytes = 1 << 20
  /// Files of a configuration folder in a backup: some manifests, keys and certificates.
  static let configurationFilesMax = 1000
  /// One of them; avalod itself reads no more of one.
  static let configurationBytesMax: Int64 = 1 << 20
  /// A backup's table of contents, with as many files as there may be.
  static let manifestBytesMax: Int64 = 4 << 20
  /// Between two looks at a snapshot that is being made.
  static let snapshotLookMilliseconds: Int64 = 50
  /// How long one may take: hundreds of gigabytes of log.
  static let snapshotSecondsMax: Int64 = 3600
}
