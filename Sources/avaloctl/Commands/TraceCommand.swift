import ArgumentParser
import AvaloClient
import AvaloCore
import AvaloTrace

struct TraceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trace",
    abstract: "Tells what became of an event: accepted, kept, written to whom, acknowledged, expired, and why not.",
    discussion: """
      With an event's id its whole journey; with --user alone, what is in a user's inbox and how it stands with each
      of their devices, and what went wrong with their connections. An event is looked for in all that is kept, which takes
      some seconds for some millions of events; --topic or --user say where to look.
      """)

  @Argument(help: "The event's id.") var event: String?
  @Option(help: "The user who should have it: in their inbox, or where else it lies.") var user: String?
  @Option(help: "The topic it was for.") var topic: String?
  @Option(help: "With --user alone: the last so many events.") var last: UInt64 = 20
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws {
    guard event != nil || user != nil else { throw ValidationError("Name an event, or a user: --user ID.") }
    guard user == nil || topic == nil else { throw ValidationError("--user and --topic do not go together.") }
    if let user { try Check.id(user) }
    if let topic { try Check.topic(topic) }
  }

  /// Exits with 1 when nothing is known, for scripts.
  func run() async throws {
    try await reportingErrors {
      let tracer = Tracer(control: control.control)
      guard let event else {
        guard let user else { return }
        let report = try await tracer.user(user, last: last)
        if output.json {
          Output.line(JSONText { report.write(to: &$0) }.description)
        } else {
          report.lines.forEach(Output.line)
        }
        if report.isEmpty { throw ExitCode(1) }
        return
      }
      let report = try await tracer.event(event, topic: topic, user: user)
      if output.json {
        Output.line(JSONText { report.write(to: &$0) }.description)
      } else {
        for line in report.lines { Output.line(line) }
      }
      if report.isEmpty { throw ExitCode(1) }
    }
  }
}

extension Tracer {
  /// An event is looked for in all that is kept, however long that takes.
  fileprivate init(control: Control) {
    self.init { path, query in try await control.get(Control.target(path, query), timeout: .seconds(300)).bytes }
  }
}
