import ArgumentParser
import AvaloKeys
import Glibc

struct UpgradeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "upgrade",
    abstract:
      "Replaces every worker's program under load: nobody is refused, nothing is lost, nobody comes back too fast.",
    discussion: """
      Without --by, the programs of the running workers are written anew where they lie, as an installation does, and
      avalod is told to reload. What is lost, refused, cut without a word or back too fast is exit code 1.
      """)

  @Option(help: "Clients, at most 19 900 a process.") var clients = 10_000
  @Option(help: "Events a second, to one client after the other.") var rate = 1_000.0
  @Option(help: "The server's drain.reconnects_per_second.") var reconnectRate = 500
  @Option(help: "A shell command that replaces the programs and has avalod reload.") var by: String?
  @Option(help: "Seconds before the upgrade, and after it.") var rest = 3.0
  @Option(help: "Bytes of each payload.") var payload = 128
  @Option(help: "Publishing connections.") var publishers = 32
  @OptionGroup var common: CommonOptions

  func run() async throws {
    try await reportingErrors {
      let bench = try await common.bench()
      let upgrade: any Upgrade =
        if let by { CommandUpgrade(by) } else { try ProgramUpgrade(bench.processes, reload: try reload()) }
      let scenario = UpgradeScenario(
        clients: clients, rate: rate, reconnectsPerSecond: reconnectRate, restSeconds: rest, payloadBytes: payload,
        publishers: publishers, upgrade: upgrade)
      try common.finish(try scenario.run(bench, command: CommandLine.text))
    }
  }

  /// By the tool that was installed with this one.
  private func reload() throws -> String {
    let own = ServerProcesses.Process(name: "avalo-bench", pid: getpid()).program ?? ""
    let folder = own[..<(own.lastIndex(of: "/") ?? own.startIndex)]
    let socket = common.control ?? Places.controlSocket()
    return "\'\(folder)/avaloctl\' reload --control \'\(socket)\'"
  }
}
