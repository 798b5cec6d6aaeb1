import AvaloCore

extension Report {
  /// One object; numbers in the units their keys name.
  func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("title", title)
      json.member("command", command)
      json.member("ok", complaints.isEmpty)
      json.key("figures")
      json.object { json in
        for figure in figures {
          json.key(figure.key)
          json.number(figure.value)
        }
      }
      json.key("latencyMicroseconds")
      json.object { json in
        for latency in latencies {
          json.key(latency.key)
          json.object {
            $0.member("count", latency.count)
            $0.member("p50", latency.p50)
            $0.member("p95", latency.p95)
            $0.member("p99", latency.p99)
            $0.member("p999", latency.p999)
            $0.member("max", latency.max)
          }
        }
      }
      json.key("processes")
      json.array { for process in processes { process.write(to: &$0) } }
      json.key("complaints")
      json.array { for complaint in complaints { $0.string(complaint) } }
      json.key("notes")
      json.array { for note in notes { $0.string(note) } }
    }
  }
}

extension Report.Process {
  fileprivate func write(to json: inout JSONWriter) {
    json.object {
      $0.member("name", name)
      if pid > 0 { $0.member("pid", pid) }
      $0.key("cpuShare")
      $0.number(cpuShare)
      $0.key("cpuMicrosecondsPerUnit")
      $0.number(cpuMicrosecondsPerUnit)
      if let pssBytesPerUnit {
        $0.key("pssBytesPerUnit")
        $0.number(pssBytesPerUnit)
      }
      if let rssBytesPerUnit {
        $0.key("rssBytesPerUnit")
        $0.number(rssBytesPerUnit)
      }
    }
  }
}

extension JSONWriter {
  /// Six decimals; what is no number is null.
  fileprivate mutating func number(_ value: Double) {
    guard value.isFinite, abs(value) < 1e12 else { return null() }
    let millionths = Int64((abs(value) * 1e6).rounded())
    var fraction = String(millionths % 1_000_000)
    fraction = String(repeating: "0", count: 6 - fraction.count) + fraction
    raw(Array("\(value < 0 ? "-" : "")\(millionths / 1_000_000).\(fraction)".utf8))
  }
}
