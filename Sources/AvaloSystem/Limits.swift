/// The bounds of this target. Each server may be given tighter ones.
public enum SystemLimits {
  /// A request's head on a metrics or control socket: a path, a few headers.
  public static let httpHeadBytesMax = 16 << 10
  /// A request's body: a list of users or a configuration, never an upload.
  public static let httpBodyBytesMax = 1 << 20
  /// A scrape of all workers with every series is a few hundred KiB; a worker that answers more is broken.
  public static let httpAnswerBytesMax = 8 << 20
  /// Connections of one listener: a scraper, an operator, a few scripts.
  public static let httpConnectionsMax = 64
  /// From a request's first byte to its last. A slow sender holds one of few connections.
  public static let httpReadTimeMax: Duration = .seconds(10)
  /// How long a handler may take, and how long a peer may take to read the answer.
  public static let httpAnswerTimeMax: Duration = .seconds(30)
  /// Between two requests of one connection. Longer than a usual scrape interval.
  public static let httpIdleTimeMax: Duration = .seconds(75)

  /// A settings file: thousands of topics rules fit.
  public static let settingsBytesMax = 4 << 20
  /// Sections within sections.
  public static let settingsDepthMax = 32
  /// Problems that are told at once; a thousand more of the same help nobody.
  public static let settingsProblemsMax = 100

  /// Descriptors a service manager may hand over.
  public static let inheritedSocketsMax = 1024
  /// A name in the descriptor store, from sd_pid_notify_with_fds(3).
  public static let descriptorNameBytesMax = 255
  /// A log line on a terminal; the journal takes more.
  public static let logLineBytesMax = 16 << 10
}
