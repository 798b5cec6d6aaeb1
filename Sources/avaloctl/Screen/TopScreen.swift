import AvaloClient
import AvaloCore

/// One look at the service, and what changed since the look before.
struct TopScreen {
  struct Look {
    var status: JSONText
    var figures: WorkerFigures
    /// Monotonic.
    var at: ContinuousClock.Instant
  }

  /// - `before`: without it, there are no rates.
  static func lines(_ now: Look, before: Look?) -> [String] {
    var lines = [StatusTable.headline(now.status), ""]
    for (label, series, isRate) in shown {
      guard let value = now.figures.sum(series) else { continue }
      lines.append("\(padded(label, 26))\(isRate ? rate(series, now, before) : plain(value))")
    }
    lines.append("")
    lines += Output.tableLines(rows(now, before: before))
    return lines
  }

  /// What tells most, first.
  private static let shown: [(label: String, series: String, isRate: Bool)] = [
    ("connections", "avalo_connections", false),
    ("published/s", "avalo_events_published_total", true),
    ("delivered/s", "avalo_events_delivered_total", true),
    ("acknowledged/s", "avalo_events_acknowledged_total", true),
    ("calls/s", "avalo_calls_total", true),
    ("connection attempts/s", "avalo_connection_attempts_total", true),
    ("sessions parked/s", "avalo_sessions_parked_total", true),
    ("link backlog, bytes", "avalo_link_backlog_bytes", false),
    ("log, bytes", "avalo_log_bytes", false),
  ]

  private static func rate(_ series: String, _ now: Look, _ before: Look?) -> String {
    guard let before, let value = now.figures.sum(series), let old = before.figures.sum(series) else { return "-" }
    // A counter that began anew with its process.
    return plain(max(0, value - old) / seconds(from: before, to: now))
  }

  private static func rows(_ now: Look, before: Look?) -> [[String]] {
    now.status.read { view in
      var rows = [["INSTANCE", "STATE", "PID", "UPTIME", "CPU %", "MEMORY", "RESTARTS", "STATUS"]]
      for worker in view.list("workers") {
        for instance in worker.list("instances") {
          let id = "\(worker.text("name")).\(instance.digits("slot"))"
          var cpu = "-"
          if let before, let used = now.figures[id]?.cpuSeconds, let old = before.figures[id]?.cpuSeconds {
            cpu = Quantity.tenths(max(0, used - old) / seconds(from: before, to: now) * 100)
          }
          rows.append([
            id, instance.text("state"), instance.digits("pid"),
            instance["uptime"].flatMap(\.double).map(StatusTable.span) ?? "-", cpu,
            now.figures[id]?.memoryBytes.map(Quantity.bytes) ?? "-", instance.digits("restarts"),
            instance.text("status", or: ""),
          ])
        }
      }
      return rows
    }
  }

  private static func seconds(from before: Look, to now: Look) -> Double {
    max(0.001, (now.at - before.at) / .seconds(1))
  }

  private static func plain(_ value: Double) -> String { value >= 1e15 ? "\(value)" : Quantity.tenths(value) }
  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }
}
