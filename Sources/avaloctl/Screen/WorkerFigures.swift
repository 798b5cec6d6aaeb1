/// Samples of a Prometheus page that are about workers, by `NAME.SLOT`, and sums over all of them.
struct WorkerFigures {
  struct Usage {
    var memoryBytes: Double?
    var cpuSeconds: Double?
  }
  private var usages: [String: Usage] = [:]
  private var sums: [Substring: Double] = [:]

  subscript(instance: String) -> Usage? { usages[instance] }

  /// A series summed over all labels.
  func sum(_ series: String) -> Double? { sums[series[...]] }

  init(_ page: String) {
    for line in page.split(separator: "\n") where !line.hasPrefix("#") {
      guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else { continue }
      let sample = line[..<space]
      let name = sample.prefix { $0 != "{" }
      sums[name, default: 0] += value
      guard name == "avalo_worker_resident_memory_bytes" || name == "avalo_worker_cpu_seconds_total",
        let worker = WorkerFigures.label("worker", of: sample), let slot = WorkerFigures.label("slot", of: sample)
      else { continue }
      if name.hasSuffix("bytes") {
        usages["\(worker).\(slot)", default: Usage()].memoryBytes = value
      } else {
        usages["\(worker).\(slot)", default: Usage()].cpuSeconds = value
      }
    }
  }

  private static func label(_ name: String, of sample: Substring) -> Substring? {
    guard let start = sample.firstRange(of: "\(name)=\"")?.upperBound else { return nil }
    return sample[start...].prefix { $0 != "\"" }
  }
}

/// Numbers as people read them.
enum Quantity {
  /// `12 MiB`.
  static func bytes(_ value: Double) -> String {
    var value = value
    for unit in ["B", "KiB", "MiB"] {
      if value < 1024 { return unit == "B" ? "\(Int(value)) B" : "\(tenths(value)) \(unit)" }
      value /= 1024
    }
    return "\(tenths(value)) GiB"
  }

  /// One digit behind the point where it says something.
  static func tenths(_ value: Double) -> String {
    value >= 100 ? "\(Int(value.rounded()))" : "\((value * 10).rounded() / 10)"
  }
}
