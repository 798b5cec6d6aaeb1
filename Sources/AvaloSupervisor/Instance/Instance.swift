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
///
/// A slot is a name that no two living processes share; a place is one of the `instances` that the configuration asks
/// for, with its listening sockets. The next generation of a place lives in another slot until the present one is gone.
final class Instance {
  /// What it is to the service.
  enum Role: String {
    /// Fills a place.
    case serving
    /// The next generation of a place that another fills: takes it when it is ready.
    case succeeding
    /// Its place is another's, or is no more: it drains, and ends for good.
    case leaving
  }

  /// What the present process, or else the last one, was started with.
  struct Start {
    var manifest: WorkerManifest
    /// `nil` when there was no such file.
    var program: ProgramStamp?
  }

  let id: InstanceID
  /// From 0 to below the worker's `instances`: which listening sockets are its own.
  let place: Int
  var role: Role
  /// What the next process is started with.
  var manifest: WorkerManifest
  var state: InstanceState

  var process: ChildProcess?
  var notifySocket: NotifySocket?
  /// For the state's next deadline.
  var timer: (id: SupervisorLoop.TimerID, due: MonotonicInstant)?

  var start: Start?
  /// Why it did not become ready, or did not stay so; of a successor, which is given one try.
  var failure: String?

  /// What the worker says of itself (STATUS=).
  var status: String?
  var lastEnding: Ending?
  /// From the last start to READY.
  var readyAfter: Duration?
  /// Processes started in this slot.
  var starts = 0
  /// Every reason is there from the start, so that a rate over it is right from the first death on.
  var restarts = Dictionary(uniqueKeysWithValues: RestartReason.allCases.map { ($0, 0) })

  init(id: InstanceID, place: Int, role: Role = .serving, manifest: WorkerManifest) {
    self.id = id
    self.place = place
    self.role = role
    self.manifest = manifest
    state = InstanceState(policy: manifest.policy)
  }

  /// Whether it leaves, and has its clients still.
  var isSendingAway: Bool { role == .leaving && state.phase == .stopping }

  /// Whether its process runs something else than a new one would: another program, or told otherwise.
  var isOutdated: Bool {
    guard let start else { return false }
    return manifest.needsRestart(comparedTo: start.manifest)
      || manifest.reload == .restart && manifest.settings != start.manifest.settings
      || start.program != ProgramStamp(manifest.executable)
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
