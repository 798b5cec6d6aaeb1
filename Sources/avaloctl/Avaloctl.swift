import ArgumentParser
import AvaloSystem

/// The operator's and the developer's command line.
package struct Avaloctl: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "avaloctl",
    abstract: "Asks and steers an Avalo Realtime server, and shows what it does.",
    discussion: """
      Exit codes: 0 it is done, 1 it failed, 64 the command line is wrong, 69 the server is not there.
      The environment gives defaults: AVALO_URL, AVALO_CONFIG_DIR, AVALO_RUNTIME_DIR.
      """,
    version: Version.current,
    subcommands: [
      // What it does
      StatusCommand.self, TopCommand.self, WorkersCommand.self, ConnectionsCommand.self, PresenceCommand.self,
      ReadCommand.self, TailCommand.self, TraceCommand.self,
      // What it is to do
      PublishCommand.self, DisconnectCommand.self, FlagsCommand.self, KeysCommand.self, TokensCommand.self,
      CheckCommand.self, ReloadCommand.self, RestartCommand.self, LogLevelCommand.self, BackupCommand.self,
      RestoreCommand.self,
      // For whoever develops with it
      InitCommand.self, TokenCommand.self, ListenCommand.self, DemoCommand.self, SandboxCommand.self,
    ])

  package init() {}
}
