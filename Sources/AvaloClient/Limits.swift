/// The bounds of the client, each with its reason.
public enum ClientLimits {
  /// One frame from the server: a payload of 64 KiB with its envelope, escapes included, and room to grow.
  public static let frameBytesMax = 1 << 20
  /// One HTTP answer: a page of metrics of many workers is the largest.
  public static let answerBytesMax = 16 << 20
  /// Calls without an answer on one connection; more would only hide that the server does not answer.
  public static let callsMax = 1_024
  /// Milliseconds to make a connection and to be told `ready`.
  public static let connectTimeoutMilliseconds = 10_000
  /// Milliseconds to wait for an answer, unless the caller says otherwise.
  public static let answerTimeoutMilliseconds = 30_000
  /// Milliseconds of silence behind the ping interval after which the connection counts as dead.
  public static let pingGraceMilliseconds = 10_000
  /// First and longest delay between two attempts to connect.
  public static let backoffMilliseconds = 100...30_000
}
