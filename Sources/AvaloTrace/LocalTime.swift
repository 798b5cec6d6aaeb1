import Glibc

/// Times as people read them, in this machine's time zone.
package enum LocalTime {
  /// `2026-01-31 12:34:56.789`, of milliseconds since 1970.
  package static func text(_ milliseconds: Int64) -> String {
    let parts = parts(milliseconds)
    return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) \(timeOfDay(milliseconds))"
  }

  /// `12:34:56.789`.
  package static func timeOfDay(_ milliseconds: Int64) -> String {
    let parts = parts(milliseconds)
    let fraction = String(String(1_000 + milliseconds % 1_000).dropFirst())
    return "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(fraction)"
  }

  private static func parts(_ milliseconds: Int64) -> tm {
    var seconds = time_t(milliseconds / 1_000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    return parts
  }

  private static func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
