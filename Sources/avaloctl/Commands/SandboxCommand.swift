import ArgumentParser
import AvaloSystem
import Glibc
import Synchronization

struct SandboxCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sandbox",
    abstract: "Starts a throw-away server, runs a command against it, and stops it.",
    discussion: """
      The server has a folder, keys and ports of its own. The command finds it by AVALO_URL, AVALO_CONFIG_DIR and
      AVALO_RUNTIME_DIR; its exit code is this one's. Example: avaloctl sandbox -- avaloctl demo
      """)

  @Option(help: "The configuration to start from.") var template = "config"
  @Flag(help: "Leave the folder, with the log and the data.") var keep = false
  @Argument(parsing: .postTerminator, help: "The command and its arguments, after --.") var command: [String] = []

  func validate() throws {
    if command.isEmpty { throw ValidationError("Say what to run: avaloctl sandbox -- COMMAND …") }
  }

  func run() async throws {
    try await reportingErrors {
      let signals = try Signals.stream([SIGINT, SIGTERM, SIGHUP])
      let life = SandboxLife()
      let work = Task { try await self.work(life) }
      // Ends with the process.
      Task {
        for await signal in signals where life.isEnding(signal) { work.cancel() }
      }
      let code: Int32
      switch await work.result {
      case .success(let ended): code = ended
      // Only a signal cancels.
      case .failure(is CancellationError): code = 128 + life.signal
      case .failure(let error): throw error
      }
      if code != 0 { throw ExitCode(code) }
    }
  }

  /// Answers the command's exit code. Whatever happens in between, the server is stopped.
  private func work(_ life: SandboxLife) async throws -> Int32 {
    let sandbox = try await Sandbox.start(template: template)
    let result: Result<Int32, any Error>
    do {
      let child = try Child.spawn(
        try SandboxCommand.path(of: command[0]), Array(command.dropFirst()), environment: sandbox.environment)
      life.commandRuns()
      do {
        result = .success(try await child.ended() ?? 1)
      } catch {
        await child.stop(within: .seconds(5))
        throw error
      }
    } catch {
      result = .failure(error)
    }
    if keep { Output.line("kept \(sandbox.folder)") }
    await sandbox.stop(keep: keep)
    return try result.get()
  }

  /// Our own programs are those beside this one.
  private static func path(of name: String) throws -> String {
    name.hasPrefix("avalo") ? try Siblings.path(of: name) : name
  }
}

/// What a signal means: Ctrl-C while the command runs is for the command, after which the server is stopped anyway.
private final class SandboxLife: Sendable {
  private let state = Mutex((runs: false, signal: Int32(0)))

  func commandRuns() { state.withLock { $0.runs = true } }
  var signal: Int32 { state.withLock { $0.signal } }

  /// Whether all is to end now.
  func isEnding(_ signal: Int32) -> Bool {
    state.withLock { state in
      if state.runs, signal == SIGINT { return false }
      state.signal = signal
      return true
    }
  }
}
