import AvaloStore

/// Both clocks at one moment.
public struct Moment: Sendable, Equatable {
  /// Milliseconds since 1970; may jump.
  public var wall: Int64
  /// Monotonic milliseconds.
  public var monotonic: Int64

  public init(wall: Int64, monotonic: Int64) {
    self.wall = wall
    self.monotonic = monotonic
  }
}

/// Keeps a wall clock that jumped ahead from deleting what it says has expired: by a wrong battery-backed clock a whole
/// log would be gone before anybody could set it right.
struct WallClockGuard {
  private var last: Moment?
  private var heldBack: Int64 = 0
  private var heldUntil: Int64 = 0

  /// Goes on where an earlier process left off: what its clock said, and what has passed since, is what this one is to
  /// say. After another boot only the time since that one is known to have passed. Returns by how much the clock is
  /// ahead, when that is too much to be believed at once.
  mutating func resume(from mark: ClockMark, at now: Moment) -> Int64? {
    let passed = mark.isThisBoot ? max(0, now.monotonic - mark.monotonic) : now.monotonic
    let jump = now.wall - mark.trusted - passed
    guard jump > SchedulerLimits.clockJumpMilliseconds else { return nil }
    heldBack = jump
    heldUntil = now.monotonic + SchedulerLimits.clockHoldMilliseconds
    last = now
    return jump
  }

  /// Takes note of the time. Returns by how much the clock jumped, when it did.
  mutating func observe(_ now: Moment) -> Int64? {
    defer { last = now }
    if now.monotonic >= heldUntil { heldBack = 0 }
    guard let last else { return nil }
    let jump = (now.wall - last.wall) - (now.monotonic - last.monotonic)
    guard abs(jump) > SchedulerLimits.clockJumpMilliseconds else { return nil }
    // A jump back takes back as much of the hold: the clock was set right.
    heldBack = max(0, heldBack + jump)
    if jump > 0 { heldUntil = now.monotonic + SchedulerLimits.clockHoldMilliseconds }
    return jump
  }

  /// The time by which things may be deleted and what was held may be released.
  func deletionTime(_ now: Moment) -> Int64 { now.wall - heldBack }
  var isHolding: Bool { heldBack > 0 }

  /// An operator vouches for the clock.
  mutating func release() { heldBack = 0 }
}
