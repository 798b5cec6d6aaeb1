import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct ConnectionMachineTests {
  typealias Phase = ConnectionMachine.Phase

  /// Draws the middle of what may be drawn.
  private func make(attempts: Int = 10, transports: Int = 1) -> ConnectionMachine {
    ConnectionMachine(reconnectInterval: 1_000, attemptsMax: attempts, transports: transports) { 0.5 }
  }

  /// A machine that got there by the shortest way, at time 0.
  private func at(_ phase: Phase, refreshable: Bool = true) -> ConnectionMachine {
    var machine = make()
    if phase == .idle { return machine }
    _ = machine.connect(isRefreshable: refreshable, now: 0)
    if phase == .token { return machine }
    if phase == .offline { _ = machine.networkBecameUnavailable() }
    _ = machine.tokenReady(machine.generation, now: 0)
    switch phase {
    case .connected: _ = machine.ready(machine.generation, now: 0)
    case .waiting, .offline: _ = machine.closed(machine.generation, TransportEnding(code: 1006), now: 0)
    case .stopped: _ = machine.closed(machine.generation, TransportEnding(code: 4501), now: 0)
    default: break
    }
    #expect(machine.phase == phase)
    return machine
  }

  private func fetches(_ actions: [ConnectionMachine.Action]) -> Bool {
    actions.contains { if case .fetchToken = $0 { true } else { false } }
  }

  // MARK: One attempt

  @Test func goesFromATokenOverATransportToAConnection() {
    var machine = make()
    #expect(machine.state == .disconnected(.client))
    let asked = machine.connect(isRefreshable: true, now: 0)
    #expect(asked == [.drop, .fetchToken(generation: machine.generation, force: false)])
    #expect(machine.state == .connecting)
    let opened = machine.tokenReady(machine.generation, now: 5)
    #expect(opened == [.open(generation: machine.generation, transport: 0)])
    let ready = machine.ready(machine.generation, now: 10)
    #expect(ready == [])
    #expect(machine.state == .connected)
  }

  @Test func whatBelongsToAnotherGenerationChangesNothing() {
    for phase in Phase.allCases {
      var machine = at(phase)
      let old = machine.generation - 1
      var actions = machine.tokenReady(old, now: 1)
      actions += machine.tokenFailed(old, isSignedOut: true, now: 1)
      actions += machine.ready(old, now: 1)
      actions += machine.closed(old, TransportEnding(code: 4500), now: 1)
      #expect(actions == [], "\(phase)")
      #expect(machine.phase == phase)
    }
  }

  /// Each input in each phase in which it cannot come.
  @Test func whatCannotComeInAPhaseChangesNothingThere() {
    typealias Input = (inout ConnectionMachine) -> [ConnectionMachine.Action]
    let impossible: [(String, Set<Phase>, Input)] = [
      ("a token", [.token], { $0.tokenReady($0.generation, now: 1) }),
      ("no token", [.token], { $0.tokenFailed($0.generation, isSignedOut: true, now: 1) }),
      ("ready", [.opening], { $0.ready($0.generation, now: 1) }),
      ("a close", [.opening, .connected], { $0.closed($0.generation, TransportEnding(code: 4500), now: 1) }),
      ("a reopen", [.opening, .connected], { $0.reopen(now: 1) }),
      ("a renewal", [.opening, .connected], { $0.renew(now: 1) }),
      ("another token", [.stopped], { $0.newToken(isRefreshable: true, now: 1) }),
      ("a tick that comes early", [], { $0.tick(1) }),
    ]
    for (what, possible, input) in impossible {
      for phase in Phase.allCases where !possible.contains(phase) {
        // The delay of `waiting` is 500 ms.
        var machine = at(phase)
        let actions = input(&machine)
        #expect(actions == [], "\(what) while \(phase)")
        #expect(machine.phase == phase, "\(what) while \(phase)")
      }
    }
  }

  @Test func anAttemptThatTakesTooLongHasFailed() {
    // The token is the application's, and may take longer.
    for (phase, time) in [(.token, 60_000), (.opening, 10_000)] as [(Phase, Int64)] {
      var machine = at(phase)
      #expect(machine.due == time)
      let actions = machine.tick(time)
      #expect(actions == [.drop])
      #expect(machine.phase == .waiting)
    }
  }

  @Test func disconnectEndsEveryPhaseAndNothingOldComesAfterIt() {
    for phase in Phase.allCases {
      var machine = at(phase)
      let generation = machine.generation
      let actions = machine.disconnect()
      #expect(actions == [.drop])
      #expect(machine.state == .disconnected(.client))
      let late = machine.closed(generation, TransportEnding(code: 1006), now: 1)
      let woken = machine.wake(1) + machine.networkBecameAvailable(1)
      #expect(late + woken == [])
      #expect(machine.due == nil)
    }
  }

  // MARK: Coming back

  @Test func takesLongerEachTimeUpToHalfAMinute() {
    var machine = make(attempts: 20)
    _ = machine.connect(isRefreshable: true, now: 0)
    var now: Int64 = 0
    var delays: [Int64] = []
    for _ in 0..<8 {
      _ = machine.tokenReady(machine.generation, now: now)
      _ = machine.closed(machine.generation, TransportEnding(code: 1006), now: now)
      delays.append((machine.due ?? 0) - now)
      now = machine.due ?? 0
      _ = machine.tick(now)
    }
    #expect(delays == [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000])
  }

  @Test func beginsAnewAfterAStableConnectionAndNotAfterAShortOne() {
    var machine = at(.waiting)
    func again(_ machine: inout ConnectionMachine, at now: Int64) {
      _ = machine.tick(now)
      _ = machine.tokenReady(machine.generation, now: now)
      _ = machine.ready(machine.generation, now: now)
    }
    again(&machine, at: 500)
    _ = machine.closed(machine.generation, TransportEnding(code: 1006), now: 600)
    #expect(machine.attempts == 2)
    again(&machine, at: 1_600)
    #expect(machine.due == 6_600)
    _ = machine.tick(6_600)
    #expect(machine.attempts == 0)
    #expect(machine.due == nil)
  }

  @Test func obeysGoawayToTheMillisecondAndCountsNoFailure() {
    var machine = at(.connected)
    _ = machine.closed(machine.generation, TransportEnding(code: 4000, retryAfterMilliseconds: 1_234), now: 100)
    #expect(machine.due == 1_334)
    #expect(machine.attempts == 0)
    let early = machine.wake(200) + machine.networkBecameAvailable(200)
    #expect(early == [], "nothing of ours is a reason to come earlier")
  }

  @Test func waitsAtLeastAsLongAsAnErrorSays() {
    var machine = at(.connected)
    _ = machine.closed(machine.generation, TransportEnding(code: 4007, retryAfterMilliseconds: 7_000), now: 0)
    #expect(machine.due == 7_000)
    #expect(machine.attempts == 1)
  }

  @Test func restsAfterTheAllowedFailuresAndIsRevived() {
    typealias Input = (inout ConnectionMachine) -> [ConnectionMachine.Action]
    let revivals: [Input] = [
      { $0.wake(9) }, { $0.networkBecameAvailable(9) }, { $0.connect(isRefreshable: true, now: 9) },
    ]
    for revive in revivals {
      var machine = make(attempts: 2)
      _ = machine.connect(isRefreshable: true, now: 0)
      for _ in 0..<3 {
        _ = machine.tick(machine.phase == .waiting ? machine.due ?? 0 : 0)
        _ = machine.tokenReady(machine.generation, now: 0)
        _ = machine.closed(machine.generation, TransportEnding(code: 1006), now: 0)
      }
      #expect(machine.state == .disconnected(.maxAttempts))
      #expect(machine.due == nil)
      let actions = revive(&machine)
      #expect(fetches(actions))
      #expect(machine.attempts == 0)
    }
  }

  @Test func countsNothingWhileThereIsNoNetwork() {
    var machine = at(.opening)
    _ = machine.networkBecameUnavailable()
    _ = machine.closed(machine.generation, TransportEnding(code: 1006), now: 0)
    #expect(machine.phase == .offline)
    #expect(machine.attempts == 0)
    let actions = machine.networkBecameAvailable(1)
    #expect(fetches(actions))
  }

  @Test func triesAtOnceWhenTheNetworkIsBackOrTheApplicationIsLookedAt() {
    var machine = at(.waiting)
    let back = machine.networkBecameAvailable(1)
    #expect(fetches(back))
    machine = at(.waiting)
    let seen = machine.wake(1)
    #expect(fetches(seen))
  }

  @Test func stopsTryingWhenTheNetworkGoes() {
    var machine = at(.waiting)
    let actions = machine.networkBecameUnavailable()
    #expect(actions == [.drop])
    #expect(machine.phase == .offline)
    #expect(machine.due == nil)
  }

  @Test func onlyAsksAConnectionThatIsThereWhetherItLives() {
    var machine = at(.connected)
    let actions = machine.wake(1) + machine.networkBecameAvailable(1) + machine.networkBecameUnavailable()
    #expect(actions == [.probe, .probe, .probe])
    #expect(machine.phase == .connected)
  }

  @Test func reopensAtOnceAndOverTheBestTransportIfSaidSo() {
    var machine = make(transports: 2)
    _ = machine.connect(isRefreshable: true, now: 0)
    for now in [Int64(0), 500] {
      _ = machine.tick(now)
      _ = machine.tokenReady(machine.generation, now: now)
      _ = machine.closed(machine.generation, TransportEnding(code: 1006), now: now)
    }
    #expect(machine.ladder.current == 1)
    _ = machine.tick(1_500)
    let lesser = machine.tokenReady(machine.generation, now: 1_500)
    #expect(lesser == [.open(generation: machine.generation, transport: 1)])
    _ = machine.ready(machine.generation, now: 1_500)
    #expect(machine.nextUpgrade(1_500) == 6_500)
    let actions = machine.reopen(upgrade: true, now: 6_500)
    #expect(fetches(actions))
    let best = machine.tokenReady(machine.generation, now: 6_500)
    #expect(best == [.open(generation: machine.generation, transport: 0)])
    #expect(machine.state == .reconnecting)
  }

  // MARK: A refused token

  @Test(arguments: [4004, 4500, 4507]) func isRefreshedByForceOnceAndEndsItTheSecondTime(code: Int) {
    var machine = at(.connected)
    let actions = machine.closed(machine.generation, TransportEnding(code: code), now: 0)
    #expect(actions == [.drop, .fetchToken(generation: machine.generation, force: true)])
    _ = machine.tokenReady(machine.generation, now: 0)
    _ = machine.closed(machine.generation, TransportEnding(code: code), now: 0)
    #expect(machine.state == .disconnected(.unauthenticated))
  }

  @Test func aTextThatIsRefusedEndsItAtOnce() {
    var machine = at(.connected, refreshable: false)
    _ = machine.closed(machine.generation, TransportEnding(code: 4500), now: 0)
    #expect(machine.state == .disconnected(.unauthenticated))
  }

  @Test func aRefusalIsForgivenAfterAStableConnection() {
    var machine = at(.connected)
    _ = machine.closed(machine.generation, TransportEnding(code: 4004), now: 0)
    _ = machine.tokenReady(machine.generation, now: 0)
    _ = machine.ready(machine.generation, now: 0)
    _ = machine.tick(5_000)
    let actions = machine.closed(machine.generation, TransportEnding(code: 4004), now: 6_000)
    #expect(fetches(actions))
  }

  @Test func anotherTokenLeavesTheEnd() {
    var machine = at(.connected, refreshable: false)
    _ = machine.closed(machine.generation, TransportEnding(code: 4500), now: 0)
    let woken = machine.wake(1) + machine.networkBecameAvailable(1)
    #expect(woken == [])
    let actions = machine.newToken(isRefreshable: false, now: 2)
    #expect(fetches(actions))
  }

  @Test func aTokenThatCannotBeHadJustNowIsTriedAgain() {
    var machine = at(.token)
    _ = machine.tokenFailed(machine.generation, isSignedOut: false, now: 0)
    #expect(machine.phase == .waiting)
  }

  @Test func nobodySignedInEndsIt() {
    var machine = at(.token)
    _ = machine.tokenFailed(machine.generation, isSignedOut: true, now: 0)
    #expect(machine.state == .disconnected(.unauthenticated))
  }

  @Test(arguments: [4501, 4502, 4503, 4504, 4505, 4506]) func onlyConnectBeginsAgainAfterARefusalForGood(code: Int) {
    var machine = at(.connected)
    _ = machine.closed(machine.generation, TransportEnding(code: code), now: 0)
    #expect(machine.phase == .stopped)
    let woken = machine.wake(1) + machine.networkBecameAvailable(1)
    #expect(woken == [])
    let actions = machine.connect(isRefreshable: true, now: 2)
    #expect(fetches(actions))
    #expect(machine.state == .connecting)
  }
}
