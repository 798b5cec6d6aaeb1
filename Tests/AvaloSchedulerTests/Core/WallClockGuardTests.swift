import AvaloStore
import Testing

@testable import AvaloScheduler

@Suite struct WallClockGuardTests {
  private let start = Moment(wall: 1_000_000_000, monotonic: 5000)
  private func after(_ milliseconds: Int64, jumped: Int64 = 0) -> Moment {
    Moment(wall: start.wall + milliseconds + jumped, monotonic: start.monotonic + milliseconds)
  }

  @Test func timeThatPassesIsNoJump() {
    var guarded = WallClockGuard()
    #expect(guarded.observe(start) == nil)
    #expect(guarded.observe(after(86_400_000)) == nil)
    // A clock that is steered runs a little faster or slower.
    #expect(guarded.observe(after(86_401_000, jumped: SchedulerLimits.clockJumpMilliseconds)) == nil)
    #expect(!guarded.isHolding)
  }

  @Test func aJumpForwardHoldsForTenMinutes() {
    var guarded = WallClockGuard()
    _ = guarded.observe(start)
    let jump = SchedulerLimits.clockJumpMilliseconds + 1
    #expect(guarded.observe(after(1000, jumped: jump)) == jump)
    #expect(guarded.deletionTime(after(1000, jumped: jump)) == start.wall + 1000)
    _ = guarded.observe(after(1000 + SchedulerLimits.clockHoldMilliseconds - 1, jumped: jump))
    #expect(guarded.isHolding)
    _ = guarded.observe(after(1000 + SchedulerLimits.clockHoldMilliseconds, jumped: jump))
    #expect(!guarded.isHolding)
  }

  @Test func aJumpBackTakesBackAsMuchOfTheHold() {
    var guarded = WallClockGuard()
    _ = guarded.observe(start)
    _ = guarded.observe(after(1000, jumped: 3_600_000))
    #expect(guarded.observe(after(2000, jumped: 600_000)) == -3_000_000)
    #expect(guarded.deletionTime(after(2000, jumped: 600_000)) == start.wall + 2000)
    #expect(guarded.observe(after(3000)) == -600_000)
    #expect(!guarded.isHolding)
    #expect(guarded.observe(after(4000, jumped: -600_000)) == -600_000)
    #expect(!guarded.isHolding, "a clock behind deletes too little, which hurts nobody")
  }

  @Test func anOperatorsWordEndsTheHold() {
    var guarded = WallClockGuard()
    _ = guarded.observe(start)
    _ = guarded.observe(after(1000, jumped: 3_600_000))
    guarded.release()
    #expect(guarded.deletionTime(after(1000, jumped: 3_600_000)) == start.wall + 1000 + 3_600_000)
  }

  @Test func goesOnWhereAnEarlierProcessLeftOff() {
    func held(_ mark: ClockMark, at now: Moment) -> Int64? {
      var guarded = WallClockGuard()
      return guarded.resume(from: mark, at: now)
    }
    let mark = ClockMark(trusted: start.wall, monotonic: start.monotonic)
    #expect(held(mark, at: after(86_400_000)) == nil)
    #expect(held(mark, at: after(1000, jumped: 3_600_000)) == 3_600_000)
    #expect(held(mark, at: after(1000, jumped: -3_600_000)) == nil)
    // After another boot the time that the machine was off is unknown; short ones are believed.
    let before = ClockMark(trusted: start.wall, monotonic: 10_000_000_000, isThisBoot: false)
    #expect(held(before, at: Moment(wall: start.wall + 50_000, monotonic: 20_000)) == nil)
    #expect(held(before, at: Moment(wall: start.wall + 3_600_000, monotonic: 20_000)) == 3_580_000)
  }
}
