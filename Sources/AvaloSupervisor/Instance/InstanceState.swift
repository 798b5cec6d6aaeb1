import AvaloSystem

/// What one instance of a worker is doing, and what is to be done when something happens to it: a table of
/// phase × event. Pure: it asks no clock, starts no process; ``Supervisor`` carries out its actions in their order.
struct InstanceState: Equatable, Sendable {
  enum Phase: String, CaseIterable, Sendable {
    /// No process, and none wanted.
    case idle
    /// The process runs and has not said READY.
    case starting
    case ready
    /// It was ready, and reads its settings again.
    case reloading
    /// SIGTERM was sent (or it said STOPPING by itself): it drains.
    case stopping
    /// It was killed, or aborted, and has not ended yet.
    case dying
    /// No process; one is started when the deadline comes.
    case waiting
  }

  enum Event: Equatable, Sendable {
    // What an operator (or a reload, or the end) wants.
    case start, stop, kill, restart, reload
    // What the worker says.
    case ready, reloading, stopping, watchdog
    /// It found out by itself that it hangs.
    case watchdogTriggered
    case extend(Duration)
    // What the machine tells.
    case spawnFailed
    case exited(Ending)
    /// Time has passed: some deadline may be due.
    case timeout
  }

  enum Action: Equatable, Sendable {
    case spawn
    /// SIGTERM, SIGHUP, SIGABRT, to the process.
    case terminate, hangUp, abort
    /// SIGKILL, to its whole group.
    case kill
    case report(Report)
  }

  /// What people should hear of.
  enum Report: Equatable, Sendable {
    /// With the time since the start.
    case becameReady(after: Duration)
    case reloaded
    /// It did not say READY again in time.
    case reloadUnanswered
    /// It ended although it should run. Starts again after `delay`.
    case died(DeathReason, Ending?, wasReady: Bool, delay: Duration)
    /// It ended because it should.
    case ended(Ending)
    case startTimedOut, watchdogMissed, drainTimedOut
    /// SIGKILL does not end it.
    case unkillable
  }

  struct Policy: Equatable, Sendable {
    var startTimeout: Duration
    var watchdog: Duration?
    var drainDeadline: Duration
    var restart: RestartDelays
  }

  private(set) var phase = Phase.idle
  /// Whether a process is wanted once the present one has ended.
  private(set) var isWanted = false
  /// When the phase has lasted too long.
  private(set) var deadline: MonotonicInstant?
  /// When `WATCHDOG=1` is overdue.
  private(set) var watchdogDeadline: MonotonicInstant?
  private(set) var throttle = RestartThrottle()
  private(set) var startedAt: MonotonicInstant?
  private(set) var readyAt: MonotonicInstant?
  /// A reload that came while it could not be passed on.
  private(set) var reloadIsPending = false
  /// Why a process that should run is ending; `nil` when it is ending because somebody asked.
  private(set) var dyingOf: DeathReason?
  var policy: Policy

  init(policy: Policy) { self.policy = policy }

  var hasProcess: Bool {
    switch phase {
    case .idle, .waiting: false
    case .starting, .ready, .reloading, .stopping, .dying: true
    }
  }
  /// Serves.
  var isUp: Bool { phase == .ready || phase == .reloading }
  /// When a ``Event/timeout`` is due.
  var nextDeadline: MonotonicInstant? {
    guard let deadline, let watchdogDeadline else { return deadline ?? watchdogDeadline }
    return min(deadline, watchdogDeadline)
  }

  // MARK: The table

  mutating func handle(_ event: Event, at now: MonotonicInstant) -> [Action] {
    switch phase {
    case .idle: whileIdle(event, now)
    case .waiting: whileWaiting(event, now)
    case .starting: whileStarting(event, now)
    case .ready: whileReady(event, now)
    case .reloading: whileReloading(event, now)
    case .stopping: whileStopping(event, now)
    case .dying: whileDying(event, now)
    }
  }

  private mutating func whileIdle(_ event: Event, _ now: MonotonicInstant) -> [Action] {
    event == .start ? start(now) : []
  }

  private mutating func whileWaiting(_ event: Event, _ now: MonotonicInstant) -> [Action] {
    switch event {
    case .restart: return start(now)
    case .timeout where isDue(deadline, now): return start(now)
    case .stop, .kill:
      rest()
      return []
    default: return []
    }
  }

  private mutating func whileStarting(_ event: Event, _ now: MonotonicInstant) -> [Action] {
    switch event {
    case .ready:
      throttle.becameReady()
      readyAt = now
      let report = Action.report(.becameReady(after: now - (startedAt ?? now)))
      return [report] + becomeReady(now)
    // It may not have a handler for SIGHUP yet, and may have read the old settings already.
    case .reload: reloadIsPending = true
    case .extend(let time): extend(by: time, now)
    case .spawnFailed: return died(.spawnFailed, nil, now)
    case .timeout where isDue(deadline, now):
      die(of: .startTimeout, now)
      return [.report(.startTimedOut), .terminate]
    default: return whileAlive(event, now)
    }
    return []
  }

  private mutating func whileReady(_ event: Event, _ now: MonotonicInstant) -> [Action] {
    switch event {
    case .watchdog: armWatchdog(now)
    case .reloading: enter(.reloading, until: now + SupervisorLimits.reloadTimeout)
    case .reload:
      enter(.reloading, until: now + SupervisorLimits.reloadTimeout)
      return [.hangUp]
    case .timeout where isDue(watchdogDeadline, now), .watchdogTriggered: return missWatchdog(now)
    default: return whileAlive(event, now)
    }
    return []
  }

  private mutating func whileReloading(_ event: Event, _ now: MonotonicInstant) -> [Action] {
    switch event {
    case .watchdog: armWatchdog(now)
    case .ready: return [.report(.reloaded)] + becomeReady(now)
    case .reload: reloadIsPending = true
    case .extend(let time): extend(by: time, now)
    case .timeout where isDue(watchdogDeadline, now), .watchdogTriggered: return missWatchdog(now)
    // It serves as before: worth a line, not its connections.
    case .timeout where isDue(deadline, now): return [.report(.reloadUnanswered)] + becomeReady(now)
    default: return whileAlive(event, now)
    }
    return []
  }

  /// What is the same for all that are starting, ready or reloading.
  private mutating func whileAlive(_ event: Event, _ now: MonotonicInstant) -> [Action] {
    switch event {
    case .stop, .restart:
      isWanted = event == .restart
      enter(.stopping, until: now + policy.drainDeadline)
      dyingOf = nil
      return [.terminate]
    case .kill:
      isWanted = false
      die(of: nil, now)
      return [.kill]
    case .stopping where phase != .starting:
      enter(.stopping, until: now + policy.drainDeadline)
      dyingOf = .exit
      return []
    case .exited(let ending): return died(ending.reason, ending, now)
    default: return []
    }
  }

  private mutating func whileStopping(_ event: Event, _ now: MonotonicInstant) -> [Action] {
    switch event {
    case .start, .restart: isWanted = true
    case .stop:
      isWanted = false
      // It may be stopping by itself, without having been told.
      if dyingOf != nil {
        dyingOf = nil
        enter(.stopping, until: now + policy.drainDeadline)
        return [.terminate]
      }
    case .kill:
      isWanted = false
      die(of: nil, now)
      return [.kill]
    case .timeout where isDue(deadline, now):
      die(of: dyingOf, now)
      return [.report(.drainTimedOut), .kill]
    case .exited(let ending): return ended(ending, now)
    default: break
    }
    return []
  }

  private mutating func whileDying(_ event: Event, _ now: MonotonicInstant) -> [Action] {
    switch event {
    case .start, .restart: isWanted = true
    case .stop: isWanted = false
    case .kill:
      isWanted = false
      return [.kill]
    case .timeout where isDue(deadline, now):
      // The first time after an abort, that was to be expected.
      let wasKilled = killWasSent
      killWasSent = true
      deadline = now + SupervisorLimits.killRepeat
      return (wasKilled ? [.report(.unkillable)] : []) + [.kill]
    case .exited(let ending): return ended(ending, now)
    default: break
    }
    return []
  }

  // MARK: Steps

  private var killWasSent = false

  private mutating func start(_ now: MonotonicInstant) -> [Action] {
    isWanted = true
    startedAt = now
    readyAt = nil
    reloadIsPending = false
    dyingOf = nil
    killWasSent = false
    enter(.starting, until: now + policy.startTimeout)
    return [.spawn]
  }

  private mutating func rest() {
    isWanted = false
    startedAt = nil
    readyAt = nil
    reloadIsPending = false
    dyingOf = nil
    enter(.idle, until: nil)
  }

  private mutating func becomeReady(_ now: MonotonicInstant) -> [Action] {
    enter(.ready, until: nil)
    armWatchdog(now)
    guard reloadIsPending else { return [] }
    reloadIsPending = false
    enter(.reloading, until: now + SupervisorLimits.reloadTimeout)
    armWatchdog(now)
    return [.hangUp]
  }

  private mutating func missWatchdog(_ now: MonotonicInstant) -> [Action] {
    die(of: .watchdog, now)
    return [.report(.watchdogMissed), .abort]
  }

  private mutating func die(of reason: DeathReason?, _ now: MonotonicInstant) {
    dyingOf = reason
    enter(.dying, until: now + SupervisorLimits.abortGrace)
  }

  /// A process that was told to end, or was ended, has done so.
  private mutating func ended(_ ending: Ending, _ now: MonotonicInstant) -> [Action] {
    guard isWanted else {
      rest()
      return [.report(.ended(ending))]
    }
    if let dyingOf { return died(dyingOf == .exit ? ending.reason : dyingOf, ending, now) }
    return [.report(.ended(ending))] + start(now)
  }

  /// A process that should run has ended, or did not come to be.
  private mutating func died(_ reason: DeathReason, _ ending: Ending?, _ now: MonotonicInstant) -> [Action] {
    let wasReady = readyAt != nil
    let delay =
      readyAt.map { throttle.delayAfterReady(policy.restart, uptime: now - $0, now: now) }
      ?? throttle.delayBeforeReady(policy.restart)
    let report = Action.report(.died(reason, ending, wasReady: wasReady, delay: delay))
    if delay == .zero { return [report] + start(now) }
    startedAt = nil
    readyAt = nil
    dyingOf = nil
    enter(.waiting, until: now + delay)
    return [report]
  }

  private mutating func enter(_ next: Phase, until: MonotonicInstant?) {
    phase = next
    deadline = until
    switch next {
    // A reload is watched as before.
    case .ready, .reloading: break
    case .idle, .starting, .stopping, .dying, .waiting: watchdogDeadline = nil
    }
    if next != .dying { killWasSent = false }
  }

  private mutating func armWatchdog(_ now: MonotonicInstant) {
    watchdogDeadline = policy.watchdog.map { now + $0 }
  }

  private mutating func extend(by time: Duration, _ now: MonotonicInstant) {
    guard let deadline else { return }
    self.deadline = max(deadline, now + min(time, SupervisorLimits.extensionMax))
  }

  private func isDue(_ instant: MonotonicInstant?, _ now: MonotonicInstant) -> Bool {
    instant.map { $0 <= now } ?? false
  }
}
