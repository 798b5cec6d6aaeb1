import ArgumentParser
import AvaloClient
import AvaloCore

struct ReloadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reload",
    abstract: "Has avalod read its configuration again; a wrong one is refused whole, and the old one stays.")

  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func run() async throws {
    try await reportingErrors {
      try await Reload.run(control.control, json: output.json)
      if !output.json { Output.line("reloaded") }
    }
  }
}

/// A reload, waited for.
enum Reload {
  /// Throws when the configuration was refused; what is wrong with it has been said then, as JSON on standard output or
  /// line by line on standard error.
  static func run(_ control: Control, json: Bool = false) async throws {
    // A reload waits for drains and restarts.
    let reply = try await control.ask(HTTPRequest("POST", "/reload"), timeout: .seconds(600))
    guard let answer = try? JSONText(validating: reply.body) else {
      throw ToolError.failed("avalod answered \(reply.status): \(reply.text.prefix(300))")
    }
    if json { Output.line(answer.description) }
    guard reply.status == 200 else {
      if !json { for problem in answer.read({ $0.texts("problems") }) { Output.complaint(problem) } }
      throw ToolError.failed("the configuration was refused; the old one stays in force")
    }
  }
}
