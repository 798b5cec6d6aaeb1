import AvaloSystem

/// Names one slot of a worker: `gateway.0`.
struct InstanceID: Hashable, Comparable, Sendable, CustomStringConvertible {
  var worker: String
  var slot: Int
  var description: String { "\(worker).\(slot)" }
  static func < (a: Self, b: Self) -> Bool { (a.worker, a.slot) < (b.worker, b.slot) }
}

/// One slot of a worker with its present process: what ``InstanceState`` decides about. Owned by ``Supervisor``, on its
/// loop; it does nothing by itself.
final class Instance {
  let id: InstanceID
  /// What the next process is started with.
  var manifest: WorkerManifest
  var state: InstanceState

  var process: ChildProcess?
  var notifySocket: NotifySocket?
  /// For the state's next deadline.
  var timer: (id: SupervisorLoop.TimerID, due: MonotonicInstant)?

  /// What the worker says of itself (STATUS=).
  var status: String?
  var lastEnding: Ending?
  /// From the last start to READY.
  var readyAfter: Duration?
  /// Processes started in this slot.
  var starts = 0
  /// Every reason is there from the start, so that a rate over it is right from the first death on.
  var restarts = Dictionary(uniqueKeysWithValues: RestartReason.allCases.map { ($0, 0) })

  init(id: InstanceID, manifest: WorkerManifest) {
    self.id = id
    self.manifest = manifest
    state = InstanceState(policy: manifest.policy)
  }
}

/// Why a process was followed by another: the values of `avalo_worker_restarts_total`'s label.
enum RestartReason: String, CaseIterable, Sendable {
  case exit, signal, watchdog
  case startTimeout = "start_timeout"
  case spawnFailed = "spawn_failed"
  /// Somebody asked, or a reload needed it.
  case requested

  init(_ reason: DeathReason) {
    self =
      switch reason {
      case .exit: .exit
      case .signal: .signal
      case .watchdog: .watchdog
      case .startTimeout: .startTimeout
      case .spawnFailed: .spawnFailed
      }
  }
}

extension WorkerManifest {
  var policy: InstanceState.Policy {
    InstanceState.Policy(
      startTimeout: startTimeout, watchdog: watchdog, drainDeadline: drain.deadline, restart: restart)
  }
}
