import AvaloSystem

/// The variables of a worker, as docs/protocol/worker.md lists them.
enum WorkerEnvironment {
  /// Whether a variable's meaning is the contract's, or our own service manager's: it is never passed on.
  static func isOurs(_ name: String) -> Bool {
    name.hasPrefix("AVALO_") || name.hasPrefix("LISTEN_") || name.hasPrefix("WATCHDOG_") || own.contains(name)
  }
  private static let own: Set<String> = ["NOTIFY_SOCKET", "MAINPID", "FDSTORE"]

  /// What every run of a worker gets, its own `--check` too.
  static func base(of worker: WorkerManifest, in configuration: Configuration, inherited: [String: String])
    -> [String: String]
  {
    var variables = inherited.filter { !isOurs($0.key) }
    variables.merge(worker.environment) { $1 }
    variables["AVALO_WORKER"] = worker.name
    variables["AVALO_RUNTIME_DIR"] = configuration.runtimeDirectory
    variables["AVALO_STATE_DIR"] = configuration.stateDirectory
    variables["AVALO_CONFIG_DIR"] = configuration.directory
    variables["AVALO_DRAIN_USEC"] = "\(worker.drain.deadline.nanoseconds / 1000)"
    variables["AVALO_LOG_LEVEL"] = configuration.logLevel.rawValue
    variables["AVALO_LOG"] = (configuration.logDestination ?? .automatic(Environment(inherited))).rawValue
    return variables
  }

  /// What an instance that serves gets besides. The ids in LISTEN_PID and WATCHDOG_PID are completed in the child.
  static func serving(
    _ base: [String: String], slot: Int, instances: Int, sockets: [InheritedSocket], lifeline: Int32,
    watchdog: Duration?,
    drain: Duration,
    notify: String, settings: String, draining: String
  ) -> [String: String] {
    var variables = base
    variables["AVALO_SLOT"] = "\(slot)"
    variables["AVALO_INSTANCES"] = "\(instances)"
    variables["AVALO_SETTINGS"] = settings
    variables["AVALO_DRAINING"] = draining
    variables["AVALO_LIFELINE_FD"] = "\(lifeline)"
    variables["AVALO_DRAIN_USEC"] = "\(drain.nanoseconds / 1000)"
    variables["NOTIFY_SOCKET"] = notify
    variables["LISTEN_FDS"] = "\(sockets.count)"
    variables["LISTEN_FDNAMES"] = sockets.map(\.name).joined(separator: ":")
    variables["LISTEN_PID"] = ""
    if let watchdog {
      variables["WATCHDOG_USEC"] = "\(watchdog.nanoseconds / 1000)"
      variables["WATCHDOG_PID"] = ""
    }
    return variables
  }
}
