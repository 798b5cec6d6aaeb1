import Histogram

/// What one measurement found, in an order for reading; how it is printed is `ReportTables`' and `write(to:)`'s.
struct Report {
  struct Figure {
    /// A key for programs, such as `deliveries_per_second`.
    var key: String
    /// Words for people.
    var name: String
    var value: Double
    var unit: String
  }

  /// A distribution, in µs.
  struct Latency {
    var key: String
    var name: String
    var count: UInt64
    var p50, p95, p99, p999, max: UInt64

    init(_ key: String, _ name: String, _ histogram: Histogram<UInt64>) {
      self.key = key
      self.name = name
      let count = histogram.totalCount
      func at(_ percentile: Double) -> UInt64 { count == 0 ? 0 : histogram.valueAtPercentile(percentile) }
      self.count = count
      (p50, p95, p99, p999, max) = (at(50), at(95), at(99), at(99.9), count == 0 ? 0 : histogram.max)
    }
  }

  /// One process' part.
  struct Process {
    var name: String
    var pid: Int32
    /// Of one core.
    var cpuShare: Double
    /// For one of whatever was measured.
    var cpuMicrosecondsPerUnit: Double
    /// Of memory, as it grew; `nil` where memory was not the question.
    var pssBytesPerUnit: Double?
    var rssBytesPerUnit: Double?
    var pssBytes: Int
  }

  var title: String
  var command: String
  /// One of what is counted: `delivery`, `connect`, `event`.
  var unit: String
  var figures: [Figure] = []
  var latencies: [Latency] = []
  var processes: [Process] = []
  /// What must not be and is: lost events, failed connects. Empty when all held.
  var complaints: [String] = []
  /// What helps to understand, and is no failure.
  var notes: [String] = []

  init(title: String, command: String, unit: String) {
    self.title = title
    self.command = command
    self.unit = unit
  }

  mutating func figure(_ key: String, _ name: String, _ value: Double, _ unit: String = "") {
    figures.append(Figure(key: key, name: name, value: value, unit: unit))
  }

  mutating func complain(_ tally: Tally, _ what: String) {
    guard tally.total > 0 else { return }
    complaints.append("\(tally.total) \(what): \(tally.sentences.prefix(3).joined(separator: "; "))")
  }

  /// Adds every process' share of a phase of `seconds` in which `units` things were done.
  mutating func add(_ uses: [ServerProcesses.Use], client: UInt64, seconds: Double, units: Double, memory: Bool = false)
  {
    guard units > 0, seconds > 0 else { return }
    for use in uses {
      let grownPss = Double(use.after.pssBytes - use.before.pssBytes)
      let grownRss = Double(use.after.rssBytes - use.before.rssBytes)
      processes.append(
        Process(
          name: use.name, pid: use.pid, cpuShare: Double(use.cpuNanoseconds) / 1e9 / seconds,
          cpuMicrosecondsPerUnit: Double(use.cpuNanoseconds) / 1e3 / units,
          pssBytesPerUnit: memory ? grownPss / units : nil, rssBytesPerUnit: memory ? grownRss / units : nil,
          pssBytes: use.after.pssBytes))
    }
    processes.append(
      Process(
        name: "load client", pid: 0, cpuShare: Double(client) / 1e9 / seconds,
        cpuMicrosecondsPerUnit: Double(client) / 1e3 / units, pssBytes: 0))
  }
}
