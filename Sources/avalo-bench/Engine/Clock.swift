import Glibc

/// Nanoseconds of the monotonic clock.
typealias Nanoseconds = UInt64

enum Clock {
  static func now() -> Nanoseconds {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }

  /// Seconds since 1970.
  static func wallSeconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec)
  }

  static func nanoseconds(_ seconds: Double) -> Nanoseconds { Nanoseconds(max(0, seconds) * 1e9) }
}

/// When each of a row of equally spaced things is due. What is late stays due at its own time, so that a server which
/// stalls is charged for the whole stall and not only for the one request that met it (coordinated omission).
struct Pace {
  let start: Nanoseconds
  let perSecond: Double
  /// Things already begun.
  var issued = 0

  init(start: Nanoseconds, perSecond: Double) {
    precondition(perSecond > 0)
    self.start = start
    self.perSecond = perSecond
  }

  /// How many should have begun by `now`.
  func due(at now: Nanoseconds) -> Int { now < start ? 0 : Int(Double(now - start) * perSecond / 1e9) + 1 }
  /// When number `index`, from 0, is due.
  func time(of index: Int) -> Nanoseconds { start + Nanoseconds(Double(index) * 1e9 / perSecond) }
  /// When the next one is due.
  var next: Nanoseconds { time(of: issued) }
}
