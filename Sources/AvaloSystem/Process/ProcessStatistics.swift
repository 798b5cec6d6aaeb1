import Glibc

/// What the kernel knows of a process, read from /proc (proc(5)).
public struct ProcessStatistics: Sendable, Equatable {
  /// Resident memory.
  public var residentBytes: Int
  /// User and system time so far.
  public var cpuSeconds: Double
  public var openDescriptors: Int
  /// The soft limit; `nil` when there is none.
  public var maxDescriptors: Int?
  /// Since 1970.
  public var startTimeSeconds: Double
  public var threads: Int

  /// `nil` when the process is gone or belongs to another user.
  public init?(of pid: pid_t) {
    guard let stat = ProcessFile.read("/proc/\(pid)/stat"), let fields = ProcessStatistics.fieldsAfterName(stat),
      fields.count > 21, let userTicks = Double(fields[11]), let systemTicks = Double(fields[12]),
      let threads = Int(fields[17]), let startTicks = Double(fields[19]), let pages = Int(fields[21]),
      let boot = ProcessStatistics.bootTimeSeconds
    else { return nil }
    let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
    residentBytes = pages * sysconf(Int32(_SC_PAGESIZE))
    cpuSeconds = (userTicks + systemTicks) / ticks
    startTimeSeconds = boot + startTicks / ticks
    self.threads = threads
    guard let open = ProcessStatistics.descriptors(of: pid) else { return nil }
    openDescriptors = open
    maxDescriptors = ProcessStatistics.descriptorLimit(of: pid)
  }

  /// Of this process.
  public static var own: ProcessStatistics? { ProcessStatistics(of: getpid()) }

  /// The program's name may hold spaces and parentheses: fields count from behind the last one.
  static func fieldsAfterName(_ stat: String) -> [Substring]? {
    guard let close = stat.utf8.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    return stat[stat.utf8.index(after: close)...].split(whereSeparator: { $0 == " " || $0 == "\n" })
  }

  private static let bootTimeSeconds: Double? = {
    guard let stat = ProcessFile.read("/proc/stat") else { return nil }
    for line in stat.split(separator: "\n") where line.hasPrefix("btime ") { return Double(line.dropFirst(6)) }
    return nil
  }()

  private static func descriptors(of pid: pid_t) -> Int? {
    // Linux tells their number as the folder's size (since 6.2); reading 20 000 entries costs 10 ms.
    var status = stat()
    let path = "/proc/\(pid)/fd"
    if stat(path, &status) == 0, status.st_size > 0 { return Int(status.st_size) }
    guard let folder = opendir(path) else { return nil }
    defer { closedir(folder) }
    var count = 0
    while let entry = readdir(folder) {
      if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
    }
    // Of this process, the open folder is one of them.
    return pid == getpid() ? count - 1 : count
  }

  private static func descriptorLimit(of pid: pid_t) -> Int? {
    guard let limits = ProcessFile.read("/proc/\(pid)/limits") else { return nil }
    for line in limits.split(separator: "\n") where line.hasPrefix("Max open files") {
      return line.dropFirst("Max open files".count).split(separator: " ").first.flatMap { Int($0) }
    }
    return nil
  }
}

/// Small files of the kernel and ours.
public enum ProcessFile {
  /// The whole file as text; `nil` when it cannot be opened, is over `bytesMax` or is not UTF-8.
  public static func read(_ path: String, bytesMax: Int = 1 << 20) -> String? {
    guard let bytes = try? readBytes(path, bytesMax: bytesMax) else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }

  /// The whole file. Throws ``SystemError``; EFBIG when it is over `bytesMax`.
  public static func readBytes(_ path: String, bytesMax: Int) throws(SystemError) -> [UInt8] {
    // A pipe that somebody put there would keep us waiting for a writer; with O_NONBLOCK it is an empty file.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw SystemError(path) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count == 0 { return bytes }
      if count < 0 {
        if errno == EINTR { continue }
        throw SystemError(path)
      }
      guard bytes.count + count <= bytesMax else { throw SystemError(path, EFBIG) }
      bytes.append(contentsOf: chunk[..<count])
    }
  }
}
