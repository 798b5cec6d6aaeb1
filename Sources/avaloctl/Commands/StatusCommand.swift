import ArgumentParser
import AvaloClient

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Shows avalod and its workers: state, process, uptime, restarts.")

  @Flag(help: "Print avalod's answer as JSON.") var json = false
  @OptionGroup var control: ControlOption

  func run() async throws {
    try await reportingErrors {
      let document = try await Control(socket: control.path).status()
      if json { return Output.line(document.description) }
      Output.line(StatusTable.headline(document))
      Output.table(StatusTable.rows(document))
    }
  }
}
