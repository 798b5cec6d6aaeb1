import Glibc

/// How the programs come to be new ones. Begun once; nothing here waits.
protocol Upgrade: AnyObject {
  func begin() throws(BenchError)
  /// `nil` while it is under way.
  func outcome() -> (isGood: Bool, words: String)?
}

/// A command of the shell, such as a package's installation.
class CommandUpgrade: Upgrade {
  private let command: String
  private var pid: pid_t = 0
  private var ended: (isGood: Bool, words: String)?

  init(_ command: String) { self.command = command }

  func begin() throws(BenchError) {
    let words = ["/bin/sh", "-c", command]
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    // What it says goes to standard error: standard output is the report's.
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO)
    let error = posix_spawn(&pid, "/bin/sh", &actions, nil, &arguments, environ)
    guard error == 0 else { throw .failed("/bin/sh: \(String(cString: strerror(error)))") }
  }

  func outcome() -> (isGood: Bool, words: String)? {
    if let ended { return ended }
    var status: Int32 = 0
    guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
    ended = (status == 0, "\(command): status \(status >> 8)")
    return ended
  }
}

/// Every worker's program written anew where it lies, as an installation does (a new file takes the old one's name), and a
/// reload.
final class ProgramUpgrade: CommandUpgrade {
  private let programs: [String]

  /// - `processes`: whose programs.
  /// - `reload`: the command that has avalod reload.
  init(_ processes: ServerProcesses, reload: String) throws(BenchError) {
    var found: [String] = []
    for process in processes.processes where process.name != "avalod" {
      guard let program = process.program else {
        throw .failed("Cannot tell which program \(process.name) (pid \(process.pid)) runs")
      }
      if !found.contains(program) { found.append(program) }
    }
    programs = found
    super.init(reload)
    // Before anything is measured: a copy takes its time.
    for program in programs { try ProgramUpgrade.copy(program, to: program + ".next") }
  }

  override func begin() throws(BenchError) {
    for program in programs where rename(program + ".next", program) != 0 {
      throw .failed("\(program): \(String(cString: strerror(errno)))")
    }
    try super.begin()
  }

  private static func copy(_ from: String, to: String) throws(BenchError) {
    let source = open(from, O_RDONLY | O_CLOEXEC)
    let target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o755)
    defer {
      if source >= 0 { close(source) }
      if target >= 0 { close(target) }
    }
    var isCopied = source >= 0 && target >= 0
    while isCopied {
      let count = sendfile(target, source, nil, 1 << 30)
      if count == 0 { return }
      isCopied = count > 0
    }
    throw .failed("Cannot copy \(from) to \(to): \(String(cString: strerror(errno)))")
  }
}

extension ServerProcesses.Process {
  /// The path of what it runs; `nil` when that cannot be told or is no more.
  var program: String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes {
      readlink("/proc/\(pid)/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    guard count > 0 else { return nil }
    let path = String(decoding: buffer[..<count], as: UTF8.self)
    return path.hasSuffix(" (deleted)") ? nil : path
  }

  /// Whether it is still there; one that only waits to be reaped is not.
  var isRunning: Bool {
    guard let stat = ProcFile.read("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else { return false }
    let state = stat[stat.index(after: end)...].first { $0 != " " }
    return state != "Z" && state != "X"
  }
}
