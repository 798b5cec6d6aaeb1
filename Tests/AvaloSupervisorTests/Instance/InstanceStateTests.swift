import AvaloSystem
import Glibc
import Testing

@testable import AvaloSupervisor

@Suite struct InstanceStateTests {
  typealias Phase = InstanceState.Phase
  typealias Event = InstanceState.Event

  static let start = MonotonicInstant(nanoseconds: 1_000_000_000_000)
  static let policy = InstanceState.Policy(
    startTimeout: .seconds(30), watchdog: .seconds(10), drainDeadline: .seconds(20),
    restart: RestartDelays(min: .milliseconds(100), max: .seconds(10)))

  /// An instance that came to `phase` by the usual way, and the moment of it.
  static func state(in phase: Phase) -> (InstanceState, MonotonicInstant) {
    var state = InstanceState(policy: policy)
    var now = start
    func step(_ event: Event) {
      now = now + .seconds(1)
      _ = state.handle(event, at: now)
    }
    switch phase {
    case .idle: break
    case .starting: step(.start)
    case .ready: [.start, .ready].forEach(step)
    case .reloading: [.start, .ready, .reload].forEach(step)
    case .stopping: [.start, .ready, .stop].forEach(step)
    case .dying: [.start, .ready, .watchdogTriggered].forEach(step)
    case .waiting: [.start, .spawnFailed].forEach(step)
    }
    return (state, now)
  }

  static let events: [(String, Event)] = [
    ("start", .start), ("stop", .stop), ("kill", .kill), ("restart", .restart), ("reload", .reload),
    ("READY", .ready), ("RELOADING", .reloading), ("STOPPING", .stopping), ("WATCHDOG", .watchdog),
    ("WATCHDOG=trigger", .watchdogTriggered), ("EXTEND", .extend(.seconds(60))), ("spawn failed", .spawnFailed),
    ("exited", .exited(Ending(code: 1, wasKilled: false))), ("early", .timeout), ("late", .timeout),
  ]

  /// What happens in each phase (rows of one event): the next phase and the actions.
  static let table: [Phase: [String: String]] = [
    .idle: ["start": "starting spawn"],
    .waiting: ["stop": "idle", "kill": "idle", "restart": "starting spawn", "late": "starting spawn"],
    .starting: [
      "stop": "stopping terminate", "kill": "dying kill", "restart": "stopping terminate",
      "READY": "ready becameReady", "spawn failed": "waiting died:spawnFailed",
      "exited": "waiting died:exit", "late": "dying startTimedOut terminate",
    ],
    .ready: [
      "stop": "stopping terminate", "kill": "dying kill", "restart": "stopping terminate", "reload": "reloading hangUp",
      "RELOADING": "reloading", "STOPPING": "stopping", "WATCHDOG=trigger": "dying watchdogMissed abort",
      "exited": "starting died:exit spawn", "late": "dying watchdogMissed abort",
    ],
    .reloading: [
      "stop": "stopping terminate", "kill": "dying kill", "restart": "stopping terminate", "READY": "ready reloaded",
      "STOPPING": "stopping", "WATCHDOG=trigger": "dying watchdogMissed abort", "exited": "starting died:exit spawn",
      "late": "dying watchdogMissed abort",
    ],
    .stopping: ["kill": "dying kill", "exited": "idle ended", "late": "dying drainTimedOut kill"],
    .dying: ["kill": "dying kill", "exited": "starting died:watchdog spawn", "late": "dying kill"],
  ]

  @Test(arguments: Phase.allCases) func everyEventInEveryPhaseDoesWhatTheTableSays(phase: Phase) {
    for (name, event) in Self.events {
      var (state, now) = Self.state(in: phase)
      #expect(state.phase == phase)
      // An hour is later than every deadline, but the first thing that is due wins.
      now = now + (name == "late" ? .seconds(3600) : .milliseconds(1))
      let actions = state.handle(event, at: now)
      let found = ([state.phase.rawValue] + actions.map(Self.describe)).joined(separator: " ")
      #expect(found == Self.table[phase]?[name] ?? phase.rawValue, "\(name) while \(phase)")
    }
  }

  private static func describe(_ action: InstanceState.Action) -> String {
    guard case .report(let report) = action else { return "\(action)" }
    if case .died(let reason, _, _, _) = report { return "died:\(reason)" }
    return "\(report)".prefix { $0 != "(" }.description
  }

  @Test func noEventLeavesAProcessWithoutADeadlineOrAWatcher() {
    // Random walks: whatever comes, the invariants hold.
    var random = SystemRandomNumberGenerator()
    for _ in 0..<300 {
      var state = InstanceState(policy: Self.policy)
      var now = Self.start
      var hasProcess = false
      for _ in 0..<60 {
        var event = Self.events.randomElement(using: &random)!.1
        if case .exited = event, !hasProcess { event = .timeout }
        if event == .spawnFailed { event = .timeout }
        now = now + .milliseconds(Int64.random(in: 0...20_000, using: &random))
        if case .exited = event { hasProcess = false }
        for action in state.handle(event, at: now) {
          switch action {
          case .spawn:
            #expect(!hasProcess, "a second process in one slot")
            hasProcess = true
          case .terminate, .hangUp, .abort, .kill: #expect(hasProcess, "\(action) without a process")
          case .report: break
          }
        }
        #expect(state.hasProcess == hasProcess)
        switch state.phase {
        case .idle: #expect(state.nextDeadline == nil)
        case .ready: #expect(state.watchdogDeadline != nil)
        case .starting, .reloading, .stopping, .dying, .waiting: #expect(state.deadline != nil)
        }
      }
    }
  }

  @Test func restartsAtOnceAfterReadyAndEverLaterBefore() {
    var (state, now) = Self.state(in: .ready)
    #expect(state.handle(.exited(Ending(code: SIGKILL, wasKilled: true)), at: now).last == .spawn)
    for expected in [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
      let actions = state.handle(.exited(Ending(code: 1, wasKilled: false)), at: now)
      #expect(
        actions == [
          .report(
            .died(
              .exit, Ending(code: 1, wasKilled: false), wasReady: false, delay: .milliseconds(expected)))
        ])
      #expect(state.nextDeadline == now + .milliseconds(expected))
      #expect(state.handle(.timeout, at: now + .milliseconds(expected - 1)) == [])
      now = now + .milliseconds(expected)
      #expect(state.handle(.timeout, at: now) == [.spawn])
    }
    // READY forgives.
    _ = state.handle(.ready, at: now)
    #expect(state.handle(.exited(Ending(code: 1, wasKilled: false)), at: now).last == .spawn)
  }

  @Test func aWatchdogIsArmedByReadyAndFedByItsMessages() {
    var (state, now) = Self.state(in: .ready)
    for _ in 0..<5 {
      now = now + .seconds(9)
      #expect(state.handle(.timeout, at: now) == [])
      #expect(state.handle(.watchdog, at: now) == [])
      #expect(state.nextDeadline == now + .seconds(10))
    }
    now = now + .seconds(10)
    #expect(state.handle(.timeout, at: now) == [.report(.watchdogMissed), .abort])
    #expect(state.handle(.watchdog, at: now) == [], "too late")
    // SIGABRT did not end it.
    now = now + SupervisorLimits.abortGrace
    #expect(state.handle(.timeout, at: now) == [.kill])
    now = now + SupervisorLimits.killRepeat
    #expect(state.handle(.timeout, at: now) == [.report(.unkillable), .kill])
    let actions = state.handle(.exited(Ending(code: SIGKILL, wasKilled: true)), at: now)
    #expect(actions.last == .spawn)
    #expect(
      actions.first
        == .report(.died(.watchdog, Ending(code: SIGKILL, wasKilled: true), wasReady: true, delay: .zero)))
  }

  @Test func noWatchdogWithoutAnInterval() {
    var state = InstanceState(
      policy: .init(
        startTimeout: .seconds(1), watchdog: nil, drainDeadline: .seconds(1), restart: Self.policy.restart))
    _ = state.handle(.start, at: Self.start)
    _ = state.handle(.ready, at: Self.start)
    #expect(state.nextDeadline == nil)
    _ = state.handle(.watchdog, at: Self.start)
    #expect(state.nextDeadline == nil)
  }

  @Test func aReloadWhileStartingIsPassedOnAtReady() {
    var (state, now) = Self.state(in: .starting)
    #expect(state.handle(.reload, at: now) == [])
    now = now + .seconds(1)
    #expect(state.handle(.ready, at: now) == [.report(.becameReady(after: .seconds(1))), .hangUp])
    #expect(state.phase == .reloading)
    // Another one while it reloads comes after it, once for all that came.
    #expect(state.handle(.reload, at: now) == [])
    #expect(state.handle(.reload, at: now) == [])
    #expect(state.handle(.ready, at: now) == [.report(.reloaded), .hangUp])
    #expect(state.handle(.ready, at: now) == [.report(.reloaded)])
    #expect(state.phase == .ready)
  }

  @Test func aReloadThatIsNotAnsweredIsSaidAndServingGoesOn() {
    var state = InstanceState(
      policy: .init(
        startTimeout: .seconds(1), watchdog: nil, drainDeadline: .seconds(1), restart: Self.policy.restart))
    for event in [Event.start, .ready, .reload] { _ = state.handle(event, at: Self.start) }
    #expect(state.isUp)
    #expect(
      state.handle(.timeout, at: Self.start + SupervisorLimits.reloadTimeout) == [.report(.reloadUnanswered)])
    #expect(state.phase == .ready)
  }

  @Test func aStartMayAskForMoreTime() {
    var (state, now) = Self.state(in: .starting)
    now = now + .seconds(29)
    #expect(state.handle(.extend(.seconds(60)), at: now) == [])
    #expect(state.nextDeadline == now + .seconds(60))
    // Never shorter than it was, never without end.
    _ = state.handle(.extend(.seconds(1)), at: now)
    #expect(state.nextDeadline == now + .seconds(60))
    _ = state.handle(.extend(.seconds(1_000_000)), at: now)
    #expect(state.nextDeadline == now + SupervisorLimits.extensionMax)
    // A drain's deadline is the operator's.
    var (stopping, later) = Self.state(in: .stopping)
    let deadline = stopping.nextDeadline
    later = later + .seconds(1)
    _ = stopping.handle(.extend(.seconds(600)), at: later)
    #expect(stopping.nextDeadline == deadline)
  }

  @Test func arestartIsNotThrottledAndAStopDuringItWins() {
    var (state, now) = Self.state(in: .ready)
    for _ in 0..<100 {
      #expect(state.handle(.restart, at: now) == [.terminate])
      #expect(
        state.handle(.exited(Ending(code: 0, wasKilled: false)), at: now)
          == [.report(.ended(Ending(code: 0, wasKilled: false))), .spawn])
      _ = state.handle(.ready, at: now)
    }
    _ = state.handle(.restart, at: now)
    #expect(state.handle(.stop, at: now) == [])
    #expect(
      state.handle(.exited(Ending(code: 0, wasKilled: false)), at: now)
        == [.report(.ended(Ending(code: 0, wasKilled: false)))])
    #expect(state.phase == .idle)
    now = now + .seconds(1)
    #expect(state.handle(.start, at: now) == [.spawn])
  }

  @Test func aWorkerThatStopsByItselfIsStartedAgainUnlessItShouldStop() {
    var (state, now) = Self.state(in: .ready)
    #expect(state.handle(.stopping, at: now) == [])
    now = now + .seconds(1)
    let actions = state.handle(.exited(Ending(code: 0, wasKilled: false)), at: now)
    #expect(actions.last == .spawn)
    _ = state.handle(.ready, at: now)
    _ = state.handle(.stopping, at: now)
    #expect(state.handle(.stop, at: now) == [.terminate])
    _ = state.handle(.exited(Ending(code: 0, wasKilled: false)), at: now)
    #expect(state.phase == .idle)
  }
}
