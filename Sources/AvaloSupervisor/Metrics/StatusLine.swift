import AvaloSystem

/// The one line for people that `systemctl status` shows. Pure.
enum StatusLine {
  static func text(
    _ phase: Supervisor.Phase, up: Int, running: Int, of count: Int, missing: [String],
    leaving: Int = 0, series: [(StatusSeries, SeriesSum?)], said: [String] = []
  ) -> String {
    var parts: [String] = []
    switch phase {
    case .starting: parts.append("starting: \(up) of \(plural(count, "worker")) ready")
    case .running: parts.append(up == count ? plural(count, "worker") : "\(up) of \(plural(count, "worker")) ready")
    case .stopping: parts.append("stopping: \(plural(running, "worker")) left")
    }
    if phase != .stopping {
      parts += missing
      if leaving > 0 { parts.append("\(leaving) of an earlier generation draining") }
    }
    for (series, sum) in series {
      guard let sum else { continue }
      if series.rate {
        guard let rate = sum.rate else { continue }
        parts.append("\(grouped(rate)) \(series.label)")
      } else {
        parts.append("\(grouped(sum.value)) \(series.label)")
      }
    }
    if phase != .stopping { parts += said }
    return parts.joined(separator: ", ")
  }

  private static func plural(_ count: Int, _ word: String) -> String { "\(count) \(word)\(count == 1 ? "" : "s")" }

  /// `10 412`.
  static func grouped(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
    let digits = String(Int64(value.rounded()).magnitude)
    var groups: [Substring] = []
    var rest = digits[...]
    while rest.count > 3 {
      groups.insert(rest.suffix(3), at: 0)
      rest = rest.dropLast(3)
    }
    groups.insert(rest, at: 0)
    return (value.rounded() < 0 ? "-" : "") + groups.joined(separator: " ")
  }
}

/// A series summed over its workers, now and at the look before.
struct SeriesSum: Equatable, Sendable {
  var value: Double
  var at: MonotonicInstant
  /// Growth per second since the look before; `nil` at the first. A fall (a worker was started again) counts as none.
  var rate: Double?

  init(value: Double, at: MonotonicInstant, before: SeriesSum?) {
    self.value = value
    self.at = at
    guard let before, at > before.at else { return }
    rate = max(0, value - before.value) / (at - before.at).inSeconds
  }
}
