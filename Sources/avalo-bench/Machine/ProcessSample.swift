import Glibc

/// What one process has used up to now.
struct ProcessSample {
  /// Of all its threads that live, user and system.
  var cpuNanoseconds: UInt64
  /// Proportional set size: its own pages, and its share of those it shares.
  var pssBytes: Int
  var rssBytes: Int

  /// `nil` when the process is gone.
  static func take(pid: Int32) -> ProcessSample? {
    guard let cpu = cpu(pid: pid), let memory = ProcFile.read("/proc/\(pid)/smaps_rollup") else { return nil }
    return ProcessSample(
      cpuNanoseconds: cpu, pssBytes: kibibytes("Pss:", in: memory) << 10, rssBytes: kibibytes("Rss:", in: memory) << 10)
  }

  static func cpu(pid: Int32) -> UInt64? {
    let threads = ProcFile.names(in: "/proc/\(pid)/task")
    // schedstat counts nanoseconds; stat only ticks of 10 ms.
    let times = threads.compactMap { thread -> UInt64? in
      ProcFile.read("/proc/\(pid)/task/\(thread)/schedstat")?.split(separator: " ").first.flatMap { UInt64($0) }
    }
    if !threads.isEmpty, times.count == threads.count { return times.reduce(0, +) }
    return ticks(pid: pid)
  }

  /// Fields 14 and 15 of /proc/PID/stat; the name in field 2 may hold anything, so they are counted from its end.
  private static func ticks(pid: Int32) -> UInt64? {
    guard let stat = ProcFile.read("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else { return nil }
    let fields = stat[stat.index(after: end)...].split(separator: " ")
    guard fields.count > 13, let user = UInt64(fields[11]), let system = UInt64(fields[12]) else { return nil }
    return (user + system) * 1_000_000_000 / UInt64(sysconf(Int32(_SC_CLK_TCK)))
  }

  private static func kibibytes(_ name: String, in text: String) -> Int {
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      return line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }
    return 0
  }
}
