import AvaloSystem

/// When something happened, on both clocks: durations are reckoned on the monotonic one, what people are shown is the
/// time of day.
struct Moment: Sendable, Equatable {
  /// Milliseconds of CLOCK_MONOTONIC.
  var monotonic: Int64
  /// Milliseconds since 1970.
  var wall: Int64

  init(monotonic: Int64, wall: Int64) {
    self.monotonic = monotonic
    self.wall = wall
  }

  init(_ clock: MonotonicClock, _ wall: WallClock) {
    monotonic = Int64(clamping: clock.now.nanoseconds / 1_000_000)
    self.wall = wall.milliseconds
  }

  /// The time of day of a monotonic instant, past or to come.
  func wall(of monotonic: Int64) -> Int64 { wall + (monotonic - self.monotonic) }

  /// The monotonic instant of a time of day that an earlier life wrote down. The clock may have been set meanwhile: what
  /// is left until then is taken to be within `range`, in milliseconds.
  func monotonic(of wall: Int64, within range: ClosedRange<Int64>) -> Int64 {
    let (left, overflow) = wall.subtractingReportingOverflow(self.wall)
    return monotonic + min(max(overflow ? 0 : left, range.lowerBound), range.upperBound)
  }
}
