import Glibc

/// Where a loop takes the time from: milliseconds that only go forward. Tests bring their own.
public struct LoopClock: Sendable {
  public let milliseconds: @Sendable () -> UInt64

  public init(milliseconds: @escaping @Sendable () -> UInt64) {
    self.milliseconds = milliseconds
  }

  /// CLOCK_MONOTONIC_COARSE: read without a system call, and exact to a few milliseconds, which is all a loop needs.
  public static let monotonic = LoopClock {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
    return UInt64(now.tv_sec) * 1000 + UInt64(now.tv_nsec) / 1_000_000
  }
}
