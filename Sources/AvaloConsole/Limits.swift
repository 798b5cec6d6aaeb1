import AvaloSystem

/// The bounds of the console.
enum ConsoleLimits {
  /// A request's body: the key that somebody signs in with.
  static let bodyBytesMax = 4 << 10
  /// Connections at a time: some people, with the six that a browser opens to one host.
  static let connectionsMax = 64
  /// From a request's first byte to its last. Everything that is sent here is small.
  static let readTimeMax: Duration = .seconds(5)
  /// Longer than the longest question (a trace), so that its own reason is told.
  static let answerTimeMax: Duration = .seconds(40)
  /// Between two requests; the page asks every two seconds.
  static let idleTimeMax: Duration = .seconds(30)

  /// A key as it is presented: `avk_` and 43 characters, and room for longer ones.
  static let keyBytesMax = 256
  /// Failed attempts to sign in that are answered at once: a person who copies the wrong line a few times.
  static let loginBurst = 10
  /// What comes back of them: ten a minute at most. A key has 256 bits, so this is about load, not about guessing.
  static let loginRefill: Duration = .seconds(6)
  /// People who are signed in at a time; one more, and the oldest has to sign in again.
  static let sessionsMax = 64
  /// From a minute, for who is afraid, to a week.
  static let sessionTimeRange: ClosedRange<Duration> = .seconds(60)...(.seconds(7 * 86_400))
  /// How long a revoked key still looks.
  static let recheckTime: Duration = .seconds(5)
  /// Random bytes of a session's token: not to be guessed.
  static let tokenBytes = 32

  /// What avalod or one worker may take to answer the simple questions.
  static let askTimeMax: Duration = .seconds(5)
  /// A trace looks through all that is kept, which takes some seconds for some millions of events.
  static let traceTimeMax: Duration = .seconds(30)
  /// An answer over the control socket: a page of a log is half a MiB, a page of metrics some hundred KiB.
  static let answerBytesMax = 8 << 20

  /// Between two looks at the metrics: a scrape of all workers costs them milliseconds.
  static let sampleIntervalRange: ClosedRange<Duration> = .seconds(1)...(.seconds(60))
  /// Looks that are remembered: an hour of five seconds each. One is about 300 bytes.
  static let samplesMax = 720
  /// What a share or percentile is of: the window of the alerts' faster half.
  static let windowMilliseconds: Int64 = 5 * 60 * 1000
  /// Series that a meter follows: those of 100 instances, and to spare. More are not counted.
  static let seriesMax = 20_000
  /// Looks without a series after which it is forgotten: its process is not coming back.
  static let seriesUnseenMax = 120

  /// Rows of one answer.
  static let rowsMax = 100
  /// Events of an inbox that a trace of its user tells of.
  static let tracedEvents: UInt64 = 20
  /// Traces at a time: one reads through all that is kept.
  static let tracesMax = 2
  /// Users of one question about presence.
  static let usersMax = 100
}
