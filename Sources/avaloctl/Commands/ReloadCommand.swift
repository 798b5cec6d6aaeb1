import ArgumentParser
import AvaloClient
import AvaloCore

struct ReloadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reload",
    abstract: "Has avalod read its configuration again, and replace what runs an older program.",
    discussion: """
      A wrong configuration is refused whole, and the old one stays. Workers that are as before are not touched; those whose
      program or manifest changed are replaced as by restart. Exit code 1: refused, or not everything became ready.
      """)

  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func run() async throws {
    try await reportingErrors {
      let notes = try await Reload.run(control.control, json: output.json)
      guard !output.json else { return }
      Output.line("reloaded")
      for note in notes { Output.line(note) }
    }
  }
}

/// A reload, waited for.
enum Reload {
  /// Throws when the configuration was refused; what is wrong with it has been said then, as JSON on standard output or
  /// line by line on standard error. Answers what waits for a restart all the same, line by line.
  @discardableResult
  static func run(_ control: Control, json: Bool = false) async throws -> [String] {
    // A reload waits for drains and restarts.
    let reply = try await control.ask(HTTPRequest("POST", "/reload"), timeout: .seconds(600))
    guard let answer = try? JSONText(validating: reply.body) else {
      throw ToolError.failed("avalod answered \(reply.status): \(reply.text.prefix(300))")
    }
    if json { Output.line(answer.description) }
    if !json, answer.read({ $0["restartNeeded"]?.boolean }) == true {
      Output.complaint("avalod itself runs an earlier program; the new one takes: systemctl restart avalod")
    }
    guard reply.status == 200 else {
      if !json { for problem in answer.read({ $0.texts("problems") }) { Output.complaint(problem) } }
      // In force, it has a new generation; then something of it could not be started.
      throw ToolError.failed(
        answer.read { $0["inForce"]?.boolean } == true
          ? "the configuration is in force, but not everything became as it says: see avaloctl status"
          : "the configuration was refused; the old one stays in force")
    }
    return answer.read { $0.texts("notes") }
  }
}
