import ArgumentParser
import AvaloClient
import AvaloCore

/// The workers, and what an operator does with them.
struct WorkersCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "workers",
    abstract: "Shows the workers (their sockets, instances and what they use), restarts, drains or scales them.",
    subcommands: [ListWorkersCommand.self, RestartCommand.self, DrainCommand.self, ScaleCommand.self],
    defaultSubcommand: ListWorkersCommand.self)

  static func rows(_ document: JSONText, _ figures: WorkerFigures) -> [[String]] {
    document.read { view in
      var rows = [["INSTANCE", "STATE", "PID", "UPTIME", "RESTARTS", "MEMORY", "CPU", "LISTENS"]]
      for worker in view.list("workers") {
        let name = worker.text("name")
        let places = worker["sockets"].map { $0.members.flatMap { $0.1.elements.compactMap(\.string) } } ?? []
        for instance in worker.list("instances") {
          let slot = instance.digits("slot")
          let usage = figures["\(name).\(slot)"]
          rows.append([
            "\(name).\(slot)", StatusTable.state(instance), instance.digits("pid"),
            instance["uptime"].flatMap(\.double).map(StatusTable.span) ?? "-", instance.digits("restarts"),
            usage?.memoryBytes.map(Quantity.bytes) ?? "-", usage?.cpuSeconds.map { StatusTable.span($0) } ?? "-",
            places.joined(separator: " "),
          ])
        }
      }
      return rows
    }
  }

  static func json(_ document: JSONText, _ figures: WorkerFigures) -> JSONText {
    document.read { view in
      JSONText { json in
        json.object {
          $0.key("workers")
          $0.array {
            for worker in view.list("workers") {
              for instance in worker.list("instances") {
                let id = "\(worker.text("name")).\(instance.digits("slot"))"
                $0.object {
                  $0.member("instance", id)
                  $0.member("required", worker["required"]?.boolean ?? true)
                  $0.key("process")
                  $0.raw(instance.raw)
                  if let bytes = figures[id]?.memoryBytes { $0.member("memoryBytes", Int64(bytes)) }
                  if let seconds = figures[id]?.cpuSeconds { $0.member("cpuMilliseconds", Int64(seconds * 1000)) }
                }
              }
            }
          }
        }
      }
    }
  }
}

struct ListWorkersCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Shows the workers: their sockets, instances and what they use.")

  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func run() async throws {
    try await reportingErrors {
      let document = try await control.control.status()
      let figures = WorkerFigures(try await control.control.ask(HTTPRequest("GET", "/metrics")).text)
      if output.json { return Output.line(WorkersCommand.json(document, figures).description) }
      Output.table(WorkersCommand.rows(document, figures))
    }
  }
}
