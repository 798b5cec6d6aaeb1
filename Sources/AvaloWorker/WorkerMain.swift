import AvaloMetrics
import AvaloSystem
import Glibc
import Logging
import NIOPosix

/// A worker's `main`:
///
///     await WorkerMain.run(PresenceWorker.self)
public enum WorkerMain {
  /// settings → log → metrics → inherited sockets → start → ready → watchdog → reload → drain → exit.
  public static func run<W: Worker>(_ worker: W.Type, arguments: [String] = CommandLine.arguments) async -> Never {
    let program = arguments.first?.split(separator: "/").last.map(String.init) ?? "avalo-worker"
    switch WorkerArguments(arguments.dropFirst()) {
    case .serve: await serve(worker, program)
    case .check: await check(worker, program)
    case .repair: repair(worker, program)
    case .help: say(WorkerArguments.help(program)); exit(0)
    case .version: say("\(program) \(Version.current)\n"); exit(0)
    case .wrong(let argument):
      complain("\(program): unknown argument \"\(argument)\"; try --help\n"); exit(ExitCode.usage)
    }
  }

  private static func serve<W: Worker>(_ worker: W.Type, _ program: String) async -> Never {
    // This first: whatever goes wrong from here on, nothing outlives avalod.
    let (identity, sockets) = orExit(program) {
      try Lifeline.watch()
      return (try WorkerIdentity(.process, program: program), try InheritedSockets.take())
    }
    Logs.bootstrap(level: identity.logLevel, identifier: program, source: "\(identity.name).\(identity.slot)")
    let log = Logger(label: program)
    let settings: W.Settings
    switch identity.settings(of: worker) {
    case .success(let read): settings = read
    case .failure(let error):
      for problem in error.problems { log.error("wrong setting", metadata: problem.facts) }
      exit(ExitCode.configuration)
    }
    let life = orExit(program) { try WorkerLife<W>(identity: identity, sockets: sockets, log: log) }
    await life.live(settings)
  }

  /// One line a problem: `key.path`, a tab, the message.
  private static func check<W: Worker>(_ worker: W.Type, _ program: String) async -> Never {
    let identity = orExit(program) { try WorkerIdentity(.process, program: program) }
    let problems: [SettingsProblem]
    switch identity.settings(of: worker) {
    case .success(let settings): problems = await worker.check(settings)
    case .failure(let error): problems = error.problems
    }
    if problems.isEmpty { exit(0) }
    for problem in problems {
      let message = problem.message.split(whereSeparator: { $0.isNewline || $0 == "\t" }).joined(separator: " ")
      say("\(problem.path)\t\(message)\n")
    }
    exit(ExitCode.configuration)
  }

  private static func repair<W: Worker>(_ worker: W.Type, _ program: String) -> Never {
    let identity = orExit(program) { try WorkerIdentity(.process, program: program) }
    switch identity.settings(of: worker) {
    case .failure(let error):
      for problem in error.problems { complain("\(program): setting \(problem.path): \(problem.message)\n") }
      exit(ExitCode.configuration)
    case .success(let settings):
      let done = orExit(program) {
        try worker.repair(settings, stateDirectory: identity.stateDirectory, wallClock: .system)
      }
      say("\(done)\n")
      exit(0)
    }
  }

  private static func orExit<Value>(_ program: String, _ body: () throws -> Value) -> Value {
    do {
      return try body()
    } catch {
      complain("\(program): \(error)\n")
      exit(ExitCode.failure)
    }
  }

  private static func say(_ text: String) { write(text, to: STDOUT_FILENO) }
  private static func complain(_ text: String) { write(text, to: STDERR_FILENO) }
  private static func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return }
    }
  }
}

extension SettingsProblem {
  var facts: Logger.Metadata { ["key": "\(path)", "problem": "\(message)"] }
}

/// What the command line asks for.
enum WorkerArguments: Equatable {
  case serve, check, repair, help, version
  case wrong(String)

  init(_ arguments: some Collection<String>) {
    guard let first = arguments.first else {
      self = .serve
      return
    }
    guard arguments.count == 1 else {
      self = .wrong(arguments.dropFirst().first ?? first)
      return
    }
    switch first {
    case "--check": self = .check
    case "--repair": self = .repair
    case "--help", "-h": self = .help
    case "--version": self = .version
    default: self = .wrong(first)
    }
  }

  static func help(_ program: String) -> String {
    """
    usage: \(program) [--check | --repair | --version | --help]

    A worker of avalod, which starts it and gives it its sockets and settings by the environment
    (docs/protocol/worker.md). It serves until SIGTERM, drains, and exits.

      --check    check the settings that AVALO_SETTINGS names: one line a problem, exit status 78
      --repair   move a damaged file of the state folder aside, so that the next start begins a new one; a sound
                 file is left as it is. The folder is AVALO_STATE_DIR, or the working directory
      --version  say which version this is
      --help     say this

    """
  }
}
