import AvaloSystem
import Glibc

/// The memory that is ours to use and how much of it is in use: the cgroup's, if it bounds us, else the machine's.
struct MemoryUse: Equatable, Sendable {
  var limitBytes: Double
  /// Without the page cache that the kernel would give up first.
  var usedBytes: Double

  /// - `root`: for tests, where `/proc` and `/sys` are looked for.
  init?(root: String = "") {
    guard let machine = MemoryUse.machine(root) else { return nil }
    // The innermost bound that is below the machine's memory counts.
    let bounded = MemoryUse.cgroup(root).filter { $0.limitBytes < machine.limitBytes }
    self = bounded.min { $0.limitBytes - $0.usedBytes < $1.limitBytes - $1.usedBytes } ?? machine
  }

  private init(limitBytes: Double, usedBytes: Double) {
    self.limitBytes = limitBytes
    self.usedBytes = max(0, usedBytes)
  }

  private static func machine(_ root: String) -> MemoryUse? {
    guard let text = ProcessFile.read("\(root)/proc/meminfo") else { return nil }
    let fields = table(text, separator: ":")
    guard let total = fields["MemTotal"], let available = fields["MemAvailable"] else { return nil }
    return MemoryUse(limitBytes: total * 1024, usedBytes: (total - available) * 1024)
  }

  /// Our group and those around it, of either version of cgroups.
  private static func cgroup(_ root: String) -> [MemoryUse] {
    guard let membership = ProcessFile.read("\(root)/proc/self/cgroup") else { return [] }
    var found: [MemoryUse] = []
    for line in membership.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      var path = String(parts[2])
      let isVersion2 = parts[0] == "0" && parts[1].isEmpty
      guard isVersion2 || parts[1].split(separator: ",").contains("memory") else { continue }
      let base = isVersion2 ? "\(root)/sys/fs/cgroup" : "\(root)/sys/fs/cgroup/memory"
      let (limit, used, cache) =
        isVersion2
        ? ("memory.max", "memory.current", "inactive_file")
        : ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
      while true {
        let folder = path == "/" ? base : base + path
        if let limitBytes = number("\(folder)/\(limit)"), let usedBytes = number("\(folder)/\(used)") {
          let cached = ProcessFile.read("\(folder)/memory.stat").map { table($0, separator: " ")[cache] ?? 0 } ?? 0
          found.append(MemoryUse(limitBytes: limitBytes, usedBytes: usedBytes - cached))
        }
        guard path != "/", let slash = path.lastIndex(of: "/") else { break }
        path = slash == path.startIndex ? "/" : String(path[..<slash])
      }
    }
    return found
  }

  /// `nil` for `max`, too.
  private static func number(_ path: String) -> Double? {
    ProcessFile.read(path).flatMap { Double($0.filter { !$0.isWhitespace }) }
  }

  private static func table(_ text: String, separator: Character) -> [String: Double] {
    var table: [String: Double] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: separator, maxSplits: 1)
      guard parts.count == 2, let value = parts[1].split(separator: " ").first.flatMap({ Double($0) }) else { continue }
      table[String(parts[0])] = value
    }
    return table
  }
}

/// The room on a file system, as an unprivileged process sees it (statvfs(3)).
struct DiskSpace: Equatable, Sendable {
  var sizeBytes: Double
  /// Without what is reserved for root.
  var availableBytes: Double

  /// - `folder`: any path on it; `nil` when it is not there.
  init?(of folder: String) {
    var status = statvfs()
    guard statvfs(folder, &status) == 0 else { return nil }
    let blockBytes = Double(status.f_frsize)
    sizeBytes = Double(status.f_blocks) * blockBytes
    availableBytes = Double(status.f_bavail) * blockBytes
  }
}
