import ArgumentParser
import AvaloClient

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Shows avalod and its workers: state, process, uptime, restarts.")

  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func run() async throws {
    try await reportingErrors {
      let document = try await control.control.status()
      if output.json { return Output.line(document.description) }
      Output.line(StatusTable.headline(document))
      Output.table(StatusTable.rows(document))
    }
  }
}
