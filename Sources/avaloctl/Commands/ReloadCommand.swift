import ArgumentParser
import AvaloClient
import AvaloCore

struct ReloadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reload",
    abstract: "Has avalod read its configuration again; a wrong one is refused whole, and the old one stays.")

  @Flag(help: "Print avalod's answer as JSON.") var json = false
  @OptionGroup var control: ControlOption

  func run() async throws {
    try await reportingErrors {
      // A reload waits for drains and restarts.
      let reply = try await Control(socket: control.path).ask(HTTPRequest("POST", "/reload"), timeout: .seconds(600))
      guard let answer = try? JSONText(validating: reply.body) else {
        throw ToolError.failed("avalod answered \(reply.status): \(reply.text.prefix(300))")
      }
      if json { Output.line(answer.description) }
      let problems = answer.read { view in view["problems"].map { $0.elements.compactMap(\.string) } ?? [] }
      guard reply.status == 200 else {
        for problem in problems where !json { Output.complaint(problem) }
        throw ToolError.failed("the configuration was refused; the old one stays in force")
      }
      if !json { Output.line("reloaded") }
    }
  }
}
