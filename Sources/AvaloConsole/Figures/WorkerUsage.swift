/// What each instance's process uses, by `NAME.SLOT`. Pure.
struct WorkerUsage: Equatable, Sendable {
  var memoryBytes: Double?
  var cpuSeconds: Double?
  /// Of one core; `nil` before a second look.
  var cpuShare: Double?
  var openDescriptors: Double?
  var maxDescriptors: Double?
  var threads: Double?

  static let series: [Substring: WritableKeyPath<WorkerUsage, Double?> & Sendable] = [
    "avalo_worker_resident_memory_bytes": \.memoryBytes,
    "avalo_worker_cpu_seconds_total": \.cpuSeconds,
    "avalo_worker_open_fds": \.openDescriptors,
    "avalo_worker_max_fds": \.maxDescriptors,
    "avalo_worker_threads": \.threads,
  ]

  /// - `before`: what was read so many `seconds` ago.
  static func read(
    _ page: MetricsPage, before: [String: WorkerUsage], seconds: Double
  ) -> [String: WorkerUsage] {
    var usages: [String: WorkerUsage] = [:]
    for sample in page.samples {
      guard let field = series[sample.name], let worker = sample.label("worker"), let slot = sample.label("slot") else {
        continue
      }
      usages["\(worker).\(slot)", default: WorkerUsage()][keyPath: field] = sample.value
    }
    for (instance, usage) in usages {
      // A new process has used less than the one before it.
      guard seconds > 0, let used = usage.cpuSeconds, let old = before[instance]?.cpuSeconds, used >= old else {
        continue
      }
      usages[instance]?.cpuShare = (used - old) / seconds
    }
    return usages
  }
}
