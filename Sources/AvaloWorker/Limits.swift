/// The bounds of a worker's life.
public enum WorkerLimits {
  /// From SIGTERM to our exit when nobody said how long: shorter than the shortest usual SIGKILL.
  public static let drainTimeDefault: Duration = .seconds(10)
  /// Kept from the drain's time for saying goodbye and exiting before SIGKILL comes.
  public static let drainTimeReserve: Duration = .milliseconds(250)
  /// What `metrics` connections may take of the end.
  public static let goodbyeTimeMax: Duration = .milliseconds(100)
}

/// Exit codes, from sysexits(3).
enum ExitCode {
  /// EX_USAGE.
  static let usage: Int32 = 64
  /// EX_CONFIG.
  static let configuration: Int32 = 78
  /// It could not start, or a drain did not end in time.
  static let failure: Int32 = 1
}
