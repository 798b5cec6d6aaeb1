import Glibc
import Synchronization

/// A moment on the monotonic clock: for durations and deadlines, meaningless to another machine or boot.
public struct MonotonicInstant: Hashable, Comparable, Sendable {
  public var nanoseconds: UInt64
  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }
  /// Saturates at both ends.
  public static func + (instant: Self, duration: Duration) -> Self {
    let delta = duration.nanoseconds
    let (sum, overflow) =
      delta >= 0
      ? instant.nanoseconds.addingReportingOverflow(UInt64(delta))
      : instant.nanoseconds.subtractingReportingOverflow(delta.magnitude)
    return Self(nanoseconds: overflow ? (delta >= 0 ? .max : 0) : sum)
  }
  /// From `b` to `a`; negative when `a` is the earlier.
  public static func - (a: Self, b: Self) -> Duration {
    a >= b
      ? .nanoseconds(Int64(clamping: a.nanoseconds - b.nanoseconds))
      : .nanoseconds(-Int64(clamping: b.nanoseconds - a.nanoseconds))
  }
}

/// Tells monotonic time (CLOCK_MONOTONIC, the one systemd means by MONOTONIC_USEC).
public struct MonotonicClock: Sendable {
  private let read: @Sendable () -> UInt64

  /// A clock that answers nanoseconds.
  public init(nanoseconds read: @escaping @Sendable () -> UInt64) { self.read = read }
  public var now: MonotonicInstant { MonotonicInstant(nanoseconds: read()) }

  public static let system = MonotonicClock {
    let time = currentTime(CLOCK_MONOTONIC)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// Tells the time of day: for what people and other machines are told. It may jump.
public struct WallClock: Sendable {
  private let read: @Sendable () -> Int64

  /// A clock that answers microseconds since 1970.
  public init(microseconds read: @escaping @Sendable () -> Int64) { self.read = read }
  /// Since 1970.
  public var microseconds: Int64 { read() }
  /// Since 1970.
  public var milliseconds: Int64 { read() / 1000 }

  public static let system = WallClock {
    let time = currentTime(CLOCK_REALTIME)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }
}

/// A clock that stands still until it is told to move: for tests of everything that takes a clock.
public final class ManualClock: Sendable {
  private let elapsed = Atomic<UInt64>(0)
  private let wallOffset: Atomic<Int64>

  /// Starts at 1 000 s of monotonic time and at `wallMilliseconds` since 1970.
  public init(wallMilliseconds: Int64 = 1_700_000_000_000) { wallOffset = Atomic(wallMilliseconds * 1000) }

  public func advance(by duration: Duration) {
    precondition(duration >= .zero, "time does not run backwards; jumpWall(by:) moves the time of day")
    elapsed.wrappingAdd(UInt64(duration.nanoseconds), ordering: .sequentiallyConsistent)
  }
  /// Moves the time of day alone, as an operator or NTP does.
  public func jumpWall(by duration: Duration) {
    wallOffset.wrappingAdd(duration.nanoseconds / 1000, ordering: .sequentiallyConsistent)
  }

  public var monotonic: MonotonicClock {
    MonotonicClock { 1_000_000_000_000 + self.elapsed.load(ordering: .sequentiallyConsistent) }
  }
  public var wall: WallClock {
    WallClock {
      self.wallOffset.load(ordering: .sequentiallyConsistent)
        + Int64(self.elapsed.load(ordering: .sequentiallyConsistent) / 1000)
    }
  }
}

extension Duration {
  /// Whole nanoseconds; saturates after 292 years.
  public var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, over) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, overSum) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return over || overSum ? (seconds < 0 ? .min : .max) : sum
  }
  /// Whole milliseconds.
  public var milliseconds: Int64 { nanoseconds / 1_000_000 }
  /// Seconds with their fraction.
  public var inSeconds: Double { Double(nanoseconds) / 1e9 }
}

private func currentTime(_ clock: clockid_t) -> timespec {
  var time = timespec()
  clock_gettime(clock, &time)
  return time
}
