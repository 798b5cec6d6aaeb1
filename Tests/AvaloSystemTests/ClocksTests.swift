import AvaloSystem
import Testing

@Suite struct ClocksTests {
  @Test func aManualClockMovesOnlyWhenTold() {
    let clock = ManualClock(wallMilliseconds: 5000)
    let start = clock.monotonic.now
    #expect(clock.monotonic.now == start)
    clock.advance(by: .milliseconds(1500))
    #expect(clock.monotonic.now - start == .milliseconds(1500))
    #expect(clock.wall.milliseconds == 6500)
    clock.jumpWall(by: .seconds(-2))
    #expect(clock.wall.milliseconds == 4500)
    #expect(clock.monotonic.now - start == .milliseconds(1500))
  }

  @Test func instantsSaturateInsteadOfTrapping() {
    let late = MonotonicInstant(nanoseconds: .max - 5)
    #expect(late + .seconds(1) == MonotonicInstant(nanoseconds: .max))
    let early = MonotonicInstant(nanoseconds: 5)
    #expect(early + .seconds(-1) == MonotonicInstant(nanoseconds: 0))
    #expect(early - late < .zero)
    #expect(late - early > .zero)
    #expect(Duration.seconds(Int64.max).nanoseconds == .max)
    #expect(Duration.seconds(Int64.min).nanoseconds == .min)
  }

  @Test func theSystemsClocksRun() {
    let first = MonotonicClock.system.now
    #expect(MonotonicClock.system.now >= first)
    #expect(WallClock.system.milliseconds > 1_700_000_000_000)
  }
}
