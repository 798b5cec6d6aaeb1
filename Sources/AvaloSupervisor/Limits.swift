/// The supervisor's policy and bounds, in one place. What an operator may change has its default here.
public enum SupervisorLimits {
  // MARK: Restarting

  /// First delay after a death before READY; it doubles up to ``restartDelayMax``.
  public static let restartDelayMin: Duration = .milliseconds(100)
  /// A cause that is mended (a disk, a setting) is noticed within this time, without anybody's help.
  public static let restartDelayMax: Duration = .seconds(10)
  /// Deaths after READY are answered at once, this many in a row; then they wait like those before READY. Enough for an
  /// operator (or a chaos test) who kills one process again and again, too few to keep a core busy.
  static let promptRestartsMax = 20.0
  /// Prompt restarts regained per second.
  static let promptRestartsPerSecond = 1.0
  /// Ready for this long, an instance has its whole credit back.
  static let stableUptime: Duration = .seconds(10)

  // MARK: Waiting for a worker

  /// From the start to READY, unless the manifest says otherwise.
  public static let startTimeout: Duration = .seconds(30)
  /// From SIGTERM to SIGKILL, unless the manifest says otherwise.
  public static let drainDeadline: Duration = .seconds(10)
  /// From SIGABRT (or a start that took too long) to SIGKILL: time to write a core.
  static let abortGrace: Duration = .seconds(2)
  /// A killed process that stays is stuck in the kernel; SIGKILL is repeated, and said, this often.
  static let killRepeat: Duration = .seconds(10)
  /// A worker that was told to reload answers READY within this time, or it is said that it did not.
  static let reloadTimeout: Duration = .seconds(30)
  /// What a worker may ask for by EXTEND_TIMEOUT_USEC at a time, for a migration of its database.
  static let extensionMax: Duration = .seconds(600)
  /// A worker's own `--check`.
  static let checkTimeout: Duration = .seconds(10)
  /// What it may print.
  static let checkOutputBytesMax = 64 << 10
  /// A second SIGTERM ends everything at once; one this soon after the first is the same (timeout(1) sends two).
  static let stopSignalSpacing: Duration = .milliseconds(500)
  /// Above the drains' deadlines, in what is asked of the service manager above us.
  static let stopMargin: Duration = .seconds(5)

  /// A dead avalod's workers are gone within this time, and their sockets with them.
  static let bindPatience: Duration = .seconds(3)
  /// Between two tries meanwhile.
  static let bindRetry: Duration = .milliseconds(20)

  // MARK: Sizes

  /// Instances of one worker. More than cores is of no use to ours; a machine of 256 cores is large.
  static let instancesMax = 256
  /// Kinds of workers. Ours are four.
  static let workersMax = 64
  /// Listening sockets of one worker, which its instances inherit all.
  static let socketsPerWorkerMax = 64
  /// Pending connections of a listener; the kernel clamps it to net.core.somaxconn.
  static let backlog = 4096
  /// What listen(2)'s length may be on any kernel.
  static let backlogMax = 65535
  /// Names of workers and sockets are parts of file names and of descriptor names.
  static let nameBytesMax = 32
  /// Of a Unix socket's path, without the final zero (unix(7)).
  static let socketPathBytesMax = 107
  /// A notification, as systemd bounds its own (NOTIFY_BUFFER_MAX).
  static let notificationBytesMax = 4096
  /// Of a worker's STATUS= we keep one line.
  static let statusBytesMax = 200
  /// Notifications read from one instance per wake-up: a worker that floods does not starve the others.
  static let notificationsPerTurn = 64
  /// One configuration file.
  static let configurationBytesMax = 1 << 20
  /// Values of one file: aliases of aliases end somewhere.
  static let configurationValuesMax = 100_000

  // MARK: Metrics and control

  /// A worker that does not answer within this time is left out of the page.
  static let scrapeTimeout: Duration = .seconds(1)
  /// One worker's page.
  static let scrapeBytesMax = 8 << 20
  /// Between two looks at the `status:` series, for the STATUS line and its rates.
  static let statusInterval: Duration = .seconds(5)
  /// Between two STATUS lines upward.
  static let statusSpacing: Duration = .seconds(1)
  /// A forwarded request may be a backup: longer than a scrape.
  static let forwardTimeout: Duration = .seconds(300)
  /// A reload waits for drains and restarts.
  static let controlAnswerTimeMax: Duration = .seconds(600)
  /// Of the control socket: whoever may open it is asked for no password.
  static let controlMode: UInt32 = 0o600
}
