import AvaloMetrics

extension MetricsRegistry {
  /// Declares the metrics that Prometheus' own clients report of their process, read from /proc when somebody looks.
  public func addProcessMetrics() {
    func add(
      _ kind: ComputedKind, _ name: String, _ help: String, _ value: @escaping @Sendable (ProcessStatistics) -> Double?
    ) {
      computed(kind, name, help: help) { ProcessStatistics.own.flatMap(value).map { [Sample($0)] } ?? [] }
    }
    add(.counter, "process_cpu_seconds_total", "User and system CPU time spent.") { $0.cpuSeconds }
    add(.gauge, "process_resident_memory_bytes", "Resident memory.") { Double($0.residentBytes) }
    add(.gauge, "process_open_fds", "Open file descriptors.") { Double($0.openDescriptors) }
    add(.gauge, "process_max_fds", "Limit of open file descriptors.") { $0.maxDescriptors.map(Double.init) }
    add(.gauge, "process_start_time_seconds", "Start of the process, in seconds since 1970.") { $0.startTimeSeconds }
    add(.gauge, "process_threads", "Threads of the process.") { Double($0.threads) }
  }
}
