import ArgumentParser
import AvaloSystem

/// The operator's and the developer's command line.
@main
struct Avaloctl: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "avaloctl",
    abstract: "Asks and steers an Avalo Realtime server, and shows what it does.",
    discussion: """
      Exit codes: 0 it is done, 1 it failed, 64 the command line is wrong, 69 the server is not there.
      The environment gives defaults: AVALO_URL, AVALO_CONFIG_DIR, AVALO_RUNTIME_DIR.
      """,
    version: Version.current,
    subcommands: [
      InitCommand.self, KeysCommand.self, TokenCommand.self, PublishCommand.self, ListenCommand.self,
      StatusCommand.self,
      ReloadCommand.self, RestartCommand.self, LogLevelCommand.self, CheckCommand.self, DemoCommand.self,
      SandboxCommand.self,
    ])
}
