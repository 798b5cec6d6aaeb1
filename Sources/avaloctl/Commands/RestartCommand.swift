import ArgumentParser
import AvaloClient
import AvaloCore

struct RestartCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart",
    abstract: "Replaces a worker's processes by new ones, and waits until they serve.",
    discussion: """
      Where two generations may live side by side (overlap: true in the manifest, as the gateway's), the old one goes on
      until the new one serves, and then sends its clients on; if the new one does not become ready, the old one stays.
      Others end before they are started again. What was drained serves again.
      """)

  @Argument(help: "The worker, such as gateway, or one instance of it, such as gateway.0.") var worker: String
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws { try WorkerName.validate(worker) }

  func run() async throws {
    try await reportingErrors {
      let said = try await WorkerName.ask("/workers/\(worker)/restart", control)
      Output.line(output.json ? JSONText.of { $0.member("restarted", worker) }.description : said)
    }
  }
}
