import ArgumentParser
import AvaloClient
import AvaloCore

struct DrainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain",
    abstract: "Sends the clients of a worker on and lets nobody new in, until it is restarted.",
    discussion: """
      Waits until they are gone, for the drain's deadline at most. Its sockets are closed, so that a load balancer looks
      elsewhere. Without a slot, all of its instances. Only for workers whose manifest has overlap: true, as the gateway's.
      """)

  @Argument(help: "The worker, such as gateway, or one instance of it, such as gateway.0.") var worker: String
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws { try WorkerName.validate(worker) }

  func run() async throws {
    try await reportingErrors {
      let said = try await WorkerName.ask("/workers/\(worker)/drain", control)
      Output.line(output.json ? JSONText.of { $0.member("drained", worker) }.description : said)
    }
  }
}

struct ScaleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scale",
    abstract: "Changes how many instances of a worker there are, now.",
    discussion: """
      Waits until new ones serve; those that leave send their clients on, for the drain's deadline at most. It holds over
      reloads, until the configuration's own number changes or avalod is started again: to keep it, write it to
      workers.NAME.instances in avalo.yaml.
      """)

  @Argument(help: "The worker, such as gateway.") var worker: String
  @Argument(help: "How many.") var instances: Int
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws {
    try WorkerName.validate(worker)
    guard instances >= 1 else { throw ValidationError("At least one instance must stay.") }
  }

  func run() async throws {
    try await reportingErrors {
      let said = try await WorkerName.ask("/workers/\(worker)/scale", control, "\(instances)")
      Output.line(output.json ? JSONText.of { $0.member("instances", Int64(instances)) }.description : said)
    }
  }
}

/// A worker's or an instance's name on the command line.
enum WorkerName {
  static func validate(_ name: String) throws {
    // Anything else would be another path.
    guard
      name.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || [0x2D, 0x2E].contains($0) })
    else { throw ValidationError("\(name) is no worker's name.") }
  }

  /// Posts, waits for what that takes, and answers what avalod says.
  static func ask(_ path: String, _ control: ControlOption, _ body: String = "") async throws -> String {
    // It waits for drains and starts.
    let reply = try await control.control.ask(
      HTTPRequest("POST", path, body: Array(body.utf8)), timeout: .seconds(600))
    guard reply.status == 200 else {
      let text = Control.sentence(reply)
      throw reply.status == 400 ? ToolError.usage(text) : .failed(text)
    }
    return Control.sentence(reply)
  }
}
