import Glibc

/// What a figure depends on besides the server: printed with every page of figures.
struct MachineFacts {
  var cores: Int
  var processor: String
  var memoryBytes: Int
  var kernel: String
  var system: String

  static var coreCount: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

  static func read() -> MachineFacts {
    let processor = ProcFile.read("/proc/cpuinfo").flatMap { value(of: "model name", in: $0, separator: ":") }
    let system = ProcFile.read("/etc/os-release").flatMap { value(of: "PRETTY_NAME", in: $0, separator: "=") }
    let kernel = ProcFile.read("/proc/sys/kernel/osrelease")?.prefix { $0 != "\n" }
    return MachineFacts(
      cores: coreCount, processor: processor ?? "unknown processor",
      memoryBytes: sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)),
      kernel: kernel.map(String.init) ?? "unknown", system: system ?? "Linux")
  }

  var sentence: String {
    "\(cores) cores (\(processor)), \((memoryBytes + (1 << 29)) >> 30) GiB, \(system), kernel \(kernel)"
  }

  private static func value(of key: String, in text: String, separator: Character) -> String? {
    for line in text.split(separator: "\n") where line.hasPrefix(key) {
      guard let at = line.firstIndex(of: separator) else { continue }
      return String(line[line.index(after: at)...].filter { $0 != "\"" }.drop { $0 == " " })
    }
    return nil
  }
}
