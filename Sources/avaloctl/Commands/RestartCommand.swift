import ArgumentParser
import AvaloClient

struct RestartCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart",
    abstract: "Has avalod stop and start a worker, one instance after the other, and waits until it serves again.")

  @Argument(help: "The worker, such as gateway, or one instance of it, such as gateway.0.") var worker: String
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws {
    // Anything else would be another path.
    guard
      worker.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || [0x2D, 0x2E].contains($0) })
    else { throw ValidationError("\(worker) is no worker's name.") }
  }

  func run() async throws {
    try await reportingErrors {
      // It waits for drains and starts.
      let reply = try await Control(socket: control.path).ask(
        HTTPRequest("POST", "/workers/\(worker)/restart"), timeout: .seconds(600))
      guard reply.status == 200 else { throw ToolError.failed(Control.sentence(reply)) }
      Output.line(
        output.json ? JSONText.of { $0.member("restarted", worker) }.description : Control.sentence(reply))
    }
  }
}
