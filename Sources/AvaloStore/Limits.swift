/// The bounds of what a log keeps, whichever engine carries it.
public enum StoreLimits {
  /// Devices of one user: phones, tablets and browser profiles of a busy person; each keeps cursors that hold nothing
  /// back but cost rows. As many again that are no more than a connection which polls.
  public static let devicesPerUserMax = 20
  /// Topics of one device in which it goes on where it stopped, some 30 bytes each: five times what one connection may
  /// subscribe to. With a kind that anybody may subscribe to, this bounds what one user makes the log keep.
  public static let cursorsPerDeviceMax = 500
  /// A device unseen for this long is forgotten: nobody reads month-old news on a phone left in a drawer.
  public static let deviceUnseenMilliseconds: Int64 = 30 * 24 * 3600 * 1000
  /// An idempotency key outlives its event by at least this: longer than any sane publisher retries.
  public static let keyMillisecondsMin: Int64 = 10 * 60 * 1000
  /// Rows a chunk of expiry, eviction or merging touches: a few milliseconds on a slow disk.
  public static let chunkRows = 500
  /// Offsets at each end of a long topic by which its bytes are estimated.
  public static let bytesSampleRows: UInt64 = 256
  /// A page of a replay stays under a frame's bound with its last record included.
  public static let pageBytesMax = (1 << 20) - (128 << 10)
  /// Rows of one page, however small: a reader's turn stays short.
  public static let pageRowsMax = 4096
  /// Of a row on a follower's page: its numbers and the lengths of its texts.
  static let followedRowBytes = 22
  /// An event id is (expiry in ms, number): the expiry takes 42 bits, which last until 2109.
  public static let expiryMillisecondsMax: Int64 = (1 << 42) - 1
}
