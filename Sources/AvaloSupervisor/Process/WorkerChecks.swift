import AvaloSystem
import CAvalo
import Glibc

/// Reads a configuration with everything that can be said against it: its own text, and what each worker says of its
/// settings (`--check`), which gets the file and line it came from. Binds nothing, writes nothing. On the loop.
actor WorkerChecks {
  nonisolated let loop: SupervisorLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
  private let clock: MonotonicClock

  init(loop: SupervisorLoop, clock: MonotonicClock) {
    self.loop = loop
    self.clock = clock
  }

  /// The configuration, good in every respect.
  func read(folder: String, context: ConfigurationContext) async throws(ConfigurationError) -> Configuration {
    let (configuration, read) = Configuration.readWithFiles(directory: folder, context: context)
    // Whose program is there is asked even when something else is wrong: everything is to be told at once.
    var files = read
    let found = await withTaskGroup(of: (String, [SettingsProblem]).self) { group in
      for worker in configuration.workers where worker.check != nil && access(worker.executable, X_OK) == 0 {
        group.addTask { (worker.name, await self.check(worker, configuration, context)) }
      }
      var found: [String: [SettingsProblem]] = [:]
      for await (name, problems) in group { found[name] = problems }
      return found
    }
    for (name, problems) in found.sorted(by: { $0.key < $1.key }) {
      files.note(
        problems.map { problem in
          let path = "workers.\(name).settings" + (problem.path.isEmpty ? "" : ".\(problem.path)")
          return SettingsProblem(path: path, message: problem.message, line: files.tree.line(at: path))
        })
    }
    guard files.problems.isEmpty else { throw ConfigurationError(problems: files.problems) }
    return configuration
  }

  /// What the worker says of its settings.
  private func check(_ worker: WorkerManifest, _ configuration: Configuration, _ context: ConfigurationContext) async
    -> [SettingsProblem]
  {
    let run: CheckRun
    do {
      run = try CheckRun(worker, configuration, context)
    } catch {
      return [SettingsProblem(path: "", message: "cannot be checked: \(error)")]
    }
    let ending = await finish(run)
    return WorkerChecks.problems(of: worker, run.output, ending)
  }

  /// Collects what it prints until it ends, or time is up.
  private func finish(_ run: CheckRun) async -> Ending? {
    await withCheckedContinuation { continuation in
      let timer = loop.schedule(at: clock.now + SupervisorLimits.checkTimeout) { run.process.killGroup() }
      loop.watch(run.outputEnd) { [loop] in
        if !run.read() { loop.unwatch(run.outputEnd) }
      }
      loop.watch(run.process.descriptor) { [loop] in
        guard let ending = run.process.reap() else { return }
        loop.unwatch(run.process.descriptor)
        loop.cancel(timer)
        _ = run.read()
        loop.unwatch(run.outputEnd)
        run.close()
        continuation.resume(returning: ending)
      }
    }
  }

  /// One problem a line: `key.path<TAB>message`.
  static func problems(of worker: WorkerManifest, _ output: String, _ ending: Ending?) -> [SettingsProblem] {
    if ending == Ending(code: 0, wasKilled: false) { return [] }
    var problems = output.split(separator: "\n").map { line -> SettingsProblem in
      let parts = line.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
      return parts.count == 2
        ? SettingsProblem(path: String(parts[0]), message: String(parts[1]))
        : SettingsProblem(path: "", message: String(line))
    }
    if ending != Ending(code: ExitCode.configuration, wasKilled: false) || problems.isEmpty {
      let command = ([worker.executable] + (worker.check ?? [])).joined(separator: " ")
      let how =
        ending == Ending(code: SIGKILL, wasKilled: true)
        ? "did not end within \(SettingsText.duration(SupervisorLimits.checkTimeout))"
        : "ended with \(ending.map(\.description) ?? "nothing")"
      problems.append(SettingsProblem(path: "", message: "\(command) \(how)"))
    }
    return problems
  }
}

/// One run of a worker's own check. Confined to the loop.
///
/// `@unchecked Sendable`: the loop's handlers, the only ones that touch it, all run on the loop's thread.
private final class CheckRun: @unchecked Sendable {
  let process: ChildProcess
  /// What the process prints comes out here.
  let outputEnd: Int32
  private var bytes: [UInt8] = []

  init(_ worker: WorkerManifest, _ configuration: Configuration, _ context: ConfigurationContext) throws {
    // The settings are passed without a file: nothing is to be written by a check.
    let settings = avalo_memory_file("settings")
    guard settings >= 0 else { throw SystemError("memory file") }
    defer { Glibc.close(settings) }
    let written = worker.settings.withUnsafeBytes { write(settings, $0.baseAddress, $0.count) }
    guard written == worker.settings.count else { throw SystemError("settings") }
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw SystemError("pipe") }
    defer { Glibc.close(ends[1]) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    var environment = WorkerEnvironment.base(of: worker, in: configuration, inherited: context.environment)
    environment["AVALO_SETTINGS"] = "/proc/self/fd/\(InheritedSockets.firstDescriptor)"
    do {
      process = try ChildProcess(
        .init(
          executable: worker.executable, arguments: worker.check ?? [], environment: environment,
          descriptors: [settings], standardOutput: ends[1], user: worker.user))
    } catch {
      Glibc.close(ends[0])
      throw error
    }
    outputEnd = ends[0]
  }

  /// Reads what there is; `false` at the end. What is too much is read and thrown away.
  func read() -> Bool {
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = Glibc.read(outputEnd, &chunk, chunk.count)
      if count == 0 { return false }
      if count < 0 { return errno == EAGAIN || errno == EINTR }
      bytes += chunk[..<min(count, SupervisorLimits.checkOutputBytesMax - bytes.count)]
    }
  }

  var output: String { String(decoding: bytes, as: UTF8.self) }
  func close() { Glibc.close(outputEnd) }
}
