import ArgumentParser
import AvaloClient
import AvaloCore
import Glibc

struct TopCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Shows what the service does, again and again: rates, connections, processor and memory by worker.",
    discussion: "Ends with q or Ctrl-C. What the terminal has no room for is left out.")

  @Option(help: "Seconds between two looks.") var interval = 2
  @Flag(help: "Look twice, a second apart, print once and end: for scripts.") var once = false
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws {
    guard (1...3600).contains(interval) else { throw ValidationError("--interval must be 1 to 3600 seconds.") }
    if output.json, !once { throw ValidationError("--json goes with --once.") }
  }

  func run() async throws {
    try await reportingErrors {
      let control = control.control
      var before = try await TopCommand.look(control)
      guard !once else {
        try await Task.sleep(for: .seconds(1))
        let now = try await TopCommand.look(control)
        guard output.json else {
          for line in TopScreen.lines(now, before: before) { Output.line(line) }
          return
        }
        return Output.line(TopCommand.json(now).description)
      }
      let terminal = try Terminal.open(every: .seconds(interval))
      defer { terminal.close() }
      var screen = TopScreen.lines(before, before: nil)
      terminal.show(screen)
      for await event in terminal.events {
        switch event {
        case .key(UInt8(ascii: "q")), .key(UInt8(ascii: "Q")), .signal(SIGINT): return
        case .key: continue
        case .signal(SIGTERM), .signal(SIGHUP): throw ExitCode.failure
        case .signal(SIGTSTP): terminal.pause()
        // The window has another size.
        case .signal: break
        case .time:
          let now = try await TopCommand.look(control)
          screen = TopScreen.lines(now, before: before)
          before = now
        }
        terminal.show(screen)
      }
    }
  }

  private static func look(_ control: Control) async throws -> TopScreen.Look {
    let status = try await control.status()
    let page = try await control.ask(HTTPRequest("GET", "/metrics")).text
    return TopScreen.Look(status: status, figures: WorkerFigures(page), at: .now)
  }

  private static func json(_ look: TopScreen.Look) -> JSONText {
    JSONText { json in
      json.object {
        $0.key("status")
        $0.raw(look.status.bytes)
        $0.key("workers")
        $0.raw(WorkersCommand.json(look.status, look.figures).bytes)
      }
    }
  }
}
