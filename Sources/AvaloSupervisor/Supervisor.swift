import AvaloSystem
import Glibc
import Logging
import NIOPosix

/// The master of the service: binds the sockets, starts the workers, watches them, and ends them in order.
///
/// Its life is told verb by verb: `Bind`, `Spawn`, `Ready`, `Watch`, `Reload`, `Replace`, `Drain`, `Stop`. It runs on its own
/// loop's thread, which never waits for a worker, a file of a client, or the network; HTTP (metrics and control) is
/// served on NIO's threads and asks here. It knows processes, not what they are for.
actor Supervisor {
  nonisolated let loop: SupervisorLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  let log = Logger(label: "avalod")
  let clock: MonotonicClock
  let wallClock: WallClock
  let context: ConfigurationContext
  /// As it was named on the command line.
  let configurationFolder: String
  let notifier: ServiceNotifier
  let checks: WorkerChecks
  let bornAt: MonotonicInstant
  /// Our own.
  let program = ProgramStamp.ofThisProcess()

  /// The one in force.
  var configuration: Configuration
  /// Counts the configurations that were in force.
  var generation = 1
  var runtime: RuntimeDirectory?
  var stateLock: FolderLock?
  /// Whether all that workers are started with is there.
  var isBound = false
  var sockets: SocketTable
  var lifeline: LifelinePipe?
  var instances: [InstanceID: Instance] = [:]
  /// The last run of each slot that is gone, so that its counters do not start again when it comes back.
  var retired: [InstanceID: [RestartReason: Int]] = [:]

  enum Phase: String { case starting, running, stopping }
  var phase = Phase.starting
  var stoppingSince: MonotonicInstant?
  var isReloading: Bool { currentReload != nil }
  /// Whether something of ``exclusively(_:)`` is under way.
  private var isChanging = false

  var currentReload: Task<ReloadResult, Never>?
  var nextReload: Task<ReloadResult, Never>?
  var lastReload: (result: ReloadResult, at: Int64)?
  var reloads = ["success": 0, "failure": 0]
  /// Asked for while we run, by worker.
  var askedNumbers: [String: AskedNumber] = [:]
  /// Places that an operator closed, by worker.
  var closedPlaces: [String: Set<Int>] = [:]
  /// New generations by worker: those that took over, and those that did not become ready.
  var replacements: [String: (success: Int, failure: Int)] = [:]

  var watchers: [Watcher] = []
  var adminServer: HTTPServer?
  var controlServer: HTTPServer?
  var statusSeries: [String: SeriesSum] = [:]
  var lastStatus: (line: String, at: MonotonicInstant)?
  var statusIsDue = false

  init(
    configuration: Configuration, folder: String, context: ConfigurationContext, inherited: [InheritedSocket],
    loop: SupervisorLoop, notifier: ServiceNotifier = ServiceNotifier(), clock: MonotonicClock = .system,
    wallClock: WallClock = .system
  ) {
    self.configuration = configuration
    self.context = context
    self.loop = loop
    self.notifier = notifier
    self.clock = clock
    self.wallClock = wallClock
    configurationFolder = folder
    sockets = SocketTable(inherited: inherited)
    checks = WorkerChecks(loop: loop, clock: clock)
    bornAt = clock.now
  }

  /// From the first socket to the last process. Answers the exit code.
  func run() async -> Int32 {
    do {
      // This first: as the first process of a container we would not even be ended by a signal that nobody takes.
      try watchSignals()
      try await bind()
      try await openFaces()
      // A signal may have come in the meantime.
      if phase == .starting { spawnAll() }
    } catch {
      if phase != .stopping {
        log.error("cannot start", metadata: ["error": "\(error)"])
        notifier.status("cannot start: \(error)")
        await close()
        return ExitCode.unavailable
      }
    }
    beatUpward()
    sampleStatus()
    // Everything else happens when something happens: a worker says something or ends, a signal or a request comes.
    await until { $0.phase == .stopping && $0.instances.values.allSatisfy { $0.state.phase == .idle } }
    await close()
    log.notice("stopped")
    return ExitCode.success
  }

  // MARK: What happened to an instance

  /// The one door to an instance's state: decides, acts, and lets everybody look.
  func feed(_ event: InstanceState.Event, to instance: Instance) {
    for action in instance.state.handle(event, at: clock.now) { perform(action, on: instance) }
    armTimer(of: instance)
    if instance.role == .leaving, instance.state.phase == .idle { forget(instance) }
    somethingChanged()
  }

  /// It has left for good.
  private func forget(_ instance: Instance) {
    guard instances.removeValue(forKey: instance.id) != nil else { return }
    retired[instance.id] = instance.restarts
    sockets.dropMetrics(of: instance.id)
  }

  private func perform(_ action: InstanceState.Action, on instance: Instance) {
    switch action {
    case .spawn: spawn(instance)
    case .terminate: instance.process?.signal(SIGTERM)
    case .hangUp: instance.process?.signal(SIGHUP)
    case .abort: instance.process?.signal(SIGABRT)
    case .kill: instance.process?.killGroup()
    case .report(let report): tell(report, of: instance)
    }
  }

  private func armTimer(of instance: Instance) {
    let due = instance.state.nextDeadline
    if let timer = instance.timer {
      if timer.due == due { return }
      loop.cancel(timer.id)
      instance.timer = nil
    }
    guard let due else { return }
    let id = instance.id
    instance.timer = (loop.schedule(at: due) { [weak self] in self?.assumeIsolated { $0.timeIsUp(id) } }, due)
  }

  private func timeIsUp(_ id: InstanceID) {
    guard let instance = instances[id] else { return }
    instance.timer = nil
    feed(.timeout, to: instance)
  }

  // MARK: Waiting for something to be so

  struct Watcher {
    var condition: @Sendable (isolated Supervisor) -> Bool
    var continuation: CheckedContinuation<Void, Never>
  }

  /// Suspends until `condition` holds; it is looked at whenever anything changed.
  func until(_ condition: @escaping @Sendable (isolated Supervisor) -> Bool) async {
    if condition(self) { return }
    await withCheckedContinuation { watchers.append(Watcher(condition: condition, continuation: $0)) }
  }

  func somethingChanged() {
    announce()
    var rest: [Watcher] = []
    for watcher in watchers {
      if watcher.condition(self) { watcher.continuation.resume() } else { rest.append(watcher) }
    }
    watchers = rest
  }

  /// What an instance does; one that is gone rests.
  func phase(of id: InstanceID) -> InstanceState.Phase { instances[id]?.state.phase ?? .idle }

  var ordered: [Instance] { instances.values.sorted { $0.id < $1.id } }
  /// Those that fill a place: what the service is.
  var serving: [Instance] { ordered.filter { $0.role == .serving } }
  func serving(_ worker: String) -> [Instance] { serving.filter { $0.id.worker == worker } }
  func leaving(_ worker: String) -> [Instance] {
    ordered.filter { $0.id.worker == worker && $0.role == .leaving }
  }

  // MARK: One change at a time

  /// Reloads, replacements and changes of a number of instances wait for each other.
  func exclusively<Result: Sendable>(_ body: (isolated Supervisor) async -> Result) async -> Result {
    while isChanging { await until { !$0.isChanging } }
    isChanging = true
    let result = await body(self)
    isChanging = false
    somethingChanged()
    return result
  }
}

/// sysexits(3), as far as we use it.
enum ExitCode {
  static let success: Int32 = 0
  /// EX_UNAVAILABLE: a socket, a folder or a lock could not be had.
  static let unavailable: Int32 = 69
  /// EX_CONFIG.
  static let configuration: Int32 = 78
}
