import AvaloClient
import AvaloCore

/// `GET /status` as a table for people.
enum StatusTable {
  static func rows(_ document: JSONText) -> [[String]] {
    document.read { view in
      var rows = [["WORKER", "SLOT", "STATE", "PID", "UPTIME", "RESTARTS", "STATUS"]]
      for worker in elements(view["workers"]) {
        for instance in elements(worker["instances"]) {
          let uptime = instance["uptime"].flatMap(\.double).map(span) ?? "-"
          let wait = instance["restartIn"].flatMap(\.double).map { "again in \(span($0))" }
          rows.append([
            worker["name"]?.string ?? "?",
            number(instance["slot"]), state(instance), number(instance["pid"]), uptime,
            number(instance["restarts"]),
            wait ?? instance["status"]?.string ?? instance["lastEnding"]?.string ?? "",
          ])
        }
      }
      return rows
    }
  }

  /// `avalod 0.1.0, pid 12, running for 3 min: 3 workers, 10 connections`.
  static func headline(_ document: JSONText) -> String {
    document.read { view in
      let state = view["ready"]?.boolean == true ? "ready" : "not ready (\(view["state"]?.string ?? "?"))"
      let uptime = view["uptime"].flatMap(\.double).map(span) ?? "?"
      let line = view["status"]?.string ?? ""
      return "avalod \(view["version"]?.string ?? "?"), pid \(number(view["pid"])), up \(uptime), \(state)"
        + (line.isEmpty ? "" : ": \(line)")
    }
  }

  /// `12 s`, `3 min`, `5 h`, `2 d`: the two digits that matter.
  static func span(_ seconds: Double) -> String {
    switch seconds {
    case ..<120: "\(Int(seconds)) s"
    case ..<7_200: "\(Int(seconds / 60)) min"
    case ..<172_800: "\(Int(seconds / 3_600)) h"
    default: "\(Int(seconds / 86_400)) d"
    }
  }

  /// With what the operator should know besides.
  static func state(_ instance: JSONView) -> String {
    let state = instance["state"]?.string ?? "?"
    switch instance["role"]?.string {
    case "leaving": return "draining"
    case "succeeding": return "\(state) (next)"
    default: return instance["outdated"]?.boolean == true ? "\(state) (old)" : state
    }
  }

  private static func number(_ view: JSONView?) -> String { view?.integer.map { "\($0)" } ?? "-" }
  private static func elements(_ view: JSONView?) -> [JSONView] { view.map { Array($0.elements) } ?? [] }
}
