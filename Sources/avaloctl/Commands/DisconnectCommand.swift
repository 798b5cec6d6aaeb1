import ArgumentParser
import AvaloClient
import AvaloCore

struct DisconnectCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disconnect", abstract: "Ends a user's connections, or one of them, on whichever gateway they are.",
    discussion: "Whoever is to stay away loses their tokens as well: avaloctl tokens revoke --user ID.")

  @Argument(help: "The user's id.") var user: String
  @Option(help: "Only this connection, as `avaloctl connections` names it.") var connection: String?
  @Flag(help: "The client may come back at once.") var reconnect = false
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws {
    try Check.id(user)
    if let connection { try Check.id(connection) }
  }

  func run() async throws {
    try await reportingErrors {
      let data = JSONText { json in
        json.object {
          $0.member("userId", user)
          if let connection { $0.member("connectionId", connection) }
          $0.member("reconnect", reconnect)
        }
      }
      let answer = try await control.control.call("disconnectUser", data)
      if output.json { return Output.line(answer.description) }
      let count = answer.read { $0.number("disconnected") } ?? 0
      Output.line("ended \(count) connection\(count == 1 ? "" : "s") of \(user)")
    }
  }
}
