import AvaloTrace
import Glibc

/// The wall clock, as events and tokens count it.
enum WallClock {
  static func milliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
  }

  static func seconds() -> Int64 { milliseconds() / 1_000 }

  /// `2026-01-31 12:34:56.789`, local time.
  static func text(_ milliseconds: Int64) -> String { LocalTime.text(milliseconds) }

  /// `12:34:56.789`, local time.
  static func timeOfDay(_ now: Int64 = milliseconds()) -> String { LocalTime.timeOfDay(now) }
}

/// A span of time as people type it: `90s`, `15m`, `1h`, `7d`, or seconds.
enum TimeSpan {
  static func seconds(_ text: String) -> Int64? {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
    var digits = Substring(text)
    var unit: Int64 = 1
    if let last = text.last, let found = units[last] {
      unit = found
      digits = text.dropLast()
    }
    guard let count = Int64(digits), count > 0 else { return nil }
    let (seconds, overflow) = count.multipliedReportingOverflow(by: unit)
    return overflow ? nil : seconds
  }
}
