import ArgumentParser

/// The load tool: what the server does under load, and what it costs.
package struct AvaloBench: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "avalo-bench",
    abstract: "Puts load on an Avalo Realtime server and measures it, from a client that is cheaper than the server.",
    discussion: """
      Every offset of every client is checked: lost, duplicated and reordered events are counted, and any is exit
      code 1. Wants the configuration's signing secret and development API key (avaloctl init --dev), and the control
      socket, to find the server's processes.
      """,
    subcommands: [
      ConnectCommand.self, FanoutCommand.self, PairsCommand.self, PresenceCommand.self, RecoverCommand.self,
      UpgradeCommand.self, AllCommand.self,
    ])

  package init() {}
}
