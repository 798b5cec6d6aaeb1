import AvaloSystem
import Testing

@testable import AvaloGateway

/// Clients that are sent on come back one after the other, whoever sends them.
@Suite struct DrainScheduleTests {
  private let clock = ManualClock()

  private func schedule(perSecond rate: Double, seconds: Int64) -> DrainSchedule {
    DrainSchedule(perSecond: rate, until: clock.monotonic.now + .seconds(seconds), clock: clock.monotonic)
  }

  @Test func takesWhatIsDueBeforeTheNextTick() {
    let schedule = schedule(perSecond: 10, seconds: 60)
    #expect(schedule.take(100) == 0..<10)
    #expect(schedule.take(100).isEmpty)
    clock.advance(by: .milliseconds(500))
    #expect(schedule.take(3) == 10..<13)
    // Another loop's.
    #expect(schedule.take(100) == 13..<15)
    clock.advance(by: .seconds(2))
    #expect(schedule.take(4) == 15..<19)
  }

  @Test func spreadsTheReturnEvenly() {
    let schedule = schedule(perSecond: 10, seconds: 60)
    let told: [UInt32] = schedule.take(100).map { schedule.retryAfter($0) }
    #expect(told == [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000])
    clock.advance(by: .milliseconds(950))
    // Late by 50 ms for the next tick: what is due is told as if it were in time.
    #expect(schedule.retryAfter(schedule.take(100).lowerBound) == 150)
  }

  @Test func keepsTheRateForThoseWhoAreStillThereAtTheEnd() {
    let schedule = schedule(perSecond: 10, seconds: 2)
    _ = schedule.take(5)
    clock.advance(by: .seconds(2))
    #expect(schedule.isOver)
    let rest = schedule.take(1000)
    #expect(rest == 5..<1005)
    #expect(schedule.retryAfter(5) == 100)
    #expect(schedule.retryAfter(1004) == 98_500)
  }

  @Test func goesOnAtOnceWhenTheRateAllowsIt() {
    let schedule = schedule(perSecond: 0.5, seconds: 10)
    #expect(schedule.take(3).isEmpty)
    clock.advance(by: .seconds(1))
    #expect(schedule.take(3) == 0..<1)
    #expect(schedule.retryAfter(0) == 100)
  }
}

extension DrainSchedule {
  /// Everybody, now.
  static var atOnce: DrainSchedule {
    DrainSchedule(perSecond: 1000, until: MonotonicClock.system.now, clock: .system)
  }
}
