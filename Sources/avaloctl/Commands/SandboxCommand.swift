import ArgumentParser
import Glibc

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
      let sandbox = try await Sandbox.start(template: template)
      // Ctrl-C is for the command; the server is stopped after it.
      signal(SIGINT, SIG_IGN)
      var code: Int32 = 1
      do {
        let program = try SandboxCommand.path(of: command[0])
        let child = try Child.spawn(program, Array(command.dropFirst()), environment: sandbox.environment)
        code = try await child.ended() ?? 1
      } catch {
        await sandbox.stop(keep: keep)
        throw error
      }
      if keep { Output.line("kept \(sandbox.folder)") }
      await sandbox.stop(keep: keep)
      if code != 0 { throw ExitCode(code) }
    }
  }

  /// Our own programs are those beside this one.
  private static func path(of name: String) throws -> String {
    name.hasPrefix("avalo") ? try Siblings.path(of: name) : name
  }
}
