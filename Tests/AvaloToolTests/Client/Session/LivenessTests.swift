import Testing

@testable import AvaloClient

@Suite struct LivenessTests {
  private func make(pings: Bool = true) -> Liveness { Liveness(interval: 25_000, pings: pings, now: 0) }

  @Test func asksAtOnceAndThenEveryInterval() {
    var liveness = make()
    #expect(liveness.next(0) == .ping)
    liveness.heard(40)
    liveness.pong(40)
    #expect(liveness.latency == 40)
    #expect(liveness.next(40) == .sleep(until: 25_000))
    #expect(liveness.next(25_000) == .ping)
  }

  @Test func isDeadWhenNothingComesWithinTheGraceAndNotAMomentEarlier() {
    var liveness = make()
    _ = liveness.next(0)
    #expect(liveness.next(9_999) == .sleep(until: 10_000))
    #expect(liveness.next(10_000) == .dead)
  }

  @Test func livesByAnythingThatComesIn() {
    var liveness = make()
    _ = liveness.next(0)
    liveness.heard(9_000)
    #expect(liveness.next(10_000) == .sleep(until: 25_000))
    #expect(liveness.latency == nil)
  }

  @Test func aProbeAsksAtOnceAndGivesLessTime() {
    var liveness = make()
    _ = liveness.next(0)
    liveness.heard(10)
    liveness.probe(5_000)
    #expect(liveness.next(5_000) == .ping)
    #expect(liveness.next(9_000) == .dead)
  }

  @Test func whoIsAskedLateIsExcusedOnce() {
    var liveness = make()
    _ = liveness.next(0)
    #expect(liveness.next(3_600_000) == .sleep(until: 3_601_000), "the machine has slept")
    #expect(liveness.next(3_601_000) == .dead)
  }

  @Test func whatCannotBeAskedIsGivenItsIntervalAndTheGrace() {
    var liveness = make(pings: false)
    #expect(liveness.next(0) == .sleep(until: 35_000))
    liveness.heard(20_000)
    #expect(liveness.next(35_000) == .sleep(until: 55_000))
    #expect(liveness.next(55_000) == .dead)
  }

  @Test func anIntervalOfNothingIsNoReasonToAskForEver() {
    for interval in [Int64.min, 0, .max] {
      var liveness = Liveness(interval: interval, pings: true, now: 5)
      #expect(liveness.next(5) == .ping)
      guard case .sleep(let until) = liveness.next(5) else { return #expect(Bool(false), "\(interval)") }
      #expect(until > 5)
    }
  }
}
