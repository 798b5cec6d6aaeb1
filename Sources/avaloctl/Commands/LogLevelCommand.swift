import ArgumentParser
import AvaloClient

struct LogLevelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log-level",
    abstract: "Shows or changes from which level on avalod and its workers log.",
    discussion: "A change holds until the configuration's own changes, or avalod is started again.",
    aliases: ["loglevel"])

  @Argument(help: "debug, info, notice, warning or error; without, it is shown.") var level: String?
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func run() async throws {
    try await reportingErrors {
      let request =
        level.map { HTTPRequest("PUT", "/log-level", body: Array($0.utf8)) } ?? HTTPRequest("GET", "/log-level")
      let reply = try await Control(socket: control.path).ask(request)
      guard reply.status == 200 else {
        let text = Control.sentence(reply)
        throw reply.status == 400 ? ToolError.usage(text) : .failed(text)
      }
      let level = Control.sentence(reply)
      Output.line(output.json ? JSONText.of { $0.member("level", level) }.description : level)
    }
  }
}
