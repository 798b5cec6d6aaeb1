/// How a process ended.
struct Ending: Equatable, Sendable, CustomStringConvertible {
  /// The exit code, or the signal's number.
  var code: Int32
  var wasKilled: Bool
  var dumpedCore = false

  var reason: DeathReason { wasKilled ? .signal : .exit }
  var description: String {
    guard wasKilled else { return "exit \(code)" }
    return "signal \(SignalName.of(code))\(dumpedCore ? ", core dumped" : "")"
  }
}

/// Why an instance was started again: the values of a metric's label.
enum DeathReason: String, CaseIterable, Sendable {
  case exit, signal, watchdog
  case startTimeout = "start_timeout"
  case spawnFailed = "spawn_failed"
}
