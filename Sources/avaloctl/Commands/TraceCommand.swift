import ArgumentParser
import AvaloClient
import AvaloCore

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
      let tracer = Tracer(control.control)
      guard let event else {
        guard let user else { return }
        let report = try await tracer.user(user, last: last)
        if output.json { Output.line(report.json.description) } else { report.lines.forEach(Output.line) }
        if report.isEmpty { throw ExitCode(1) }
        return
      }
      var facts = try await tracer.facts(event: event, topic: topic ?? user.map { "user:" + $0 }, of: user)
      // It may lie in a topic that the user reads, or should.
      if facts.copies.isEmpty, let user { facts = try await tracer.facts(event: event, topic: nil, of: user) }
      let report = TraceReport(eventID: event, facts: facts, user: user)
      if output.json {
        Output.line(report.json.description)
      } else {
        for line in report.lines { Output.line(line) }
      }
      if report.facts.copies.isEmpty { throw ExitCode(1) }
    }
  }
}

/// Asks the scheduler and every gateway.
struct Tracer {
  private let control: Control
  init(_ control: Control) { self.control = control }

  /// What is known of an event, or, without one, of a topic; and of one user's connections.
  func facts(event: String?, topic: String?, of user: String? = nil) async throws -> TraceFacts {
    var query = ""
    func add(_ name: String, _ value: String?) {
      guard let value else { return }
      let parameter = Control.target("", ["\(name)": value])
      query += query.isEmpty ? parameter : "&" + parameter.dropFirst()
    }
    add("event", event)
    add("topic", topic)
    if event != nil {
      // Those whose events they could be: keys that are in force.
      let owners = try await control.get("/workers/gateway/api-keys").read {
        Set($0.list("keys").map { $0.text("owner") })
      }
      add("owners", owners.sorted().joined(separator: ","))
    }
    var facts = TraceFacts(try await control.get("/workers/scheduler/trace" + query, timeout: .seconds(300)))
    let gateways = try await control.status().read { view in
      view.list("workers").first { $0.text("name") == "gateway" }.map {
        $0.list("instances").filter { $0.text("state") == "ready" }.map { "gateway.\($0.digits("slot"))" }
      } ?? []
    }
    for gateway in gateways {
      if let user { facts.add(try await control.get("/workers/\(gateway)/trace", ["user": user])) }
      for topic in facts.topics {
        facts.add(try await control.get("/workers/\(gateway)/trace", ["topic": topic.name]))
        // What is said of a user's connections, whatever they were subscribed to.
        guard topic.name.hasPrefix("user:") else { continue }
        facts.add(try await control.get("/workers/\(gateway)/trace", ["user": String(topic.name.dropFirst(5))]))
      }
    }
    facts.removeDoubles()
    return facts
  }

  func user(_ user: String, last: UInt64) async throws -> UserTraceReport {
    let name = "user:" + user
    let facts = try await facts(event: nil, topic: name)
    let head = facts.topics.first { $0.name == name }?.head ?? 0
    let after = head > last ? head - last : 0
    let events =
      head == 0 ? [] : try await TopicLog(name, control).page(after: after, limit: Int(clamping: last)).events
    return UserTraceReport(user: user, facts: facts, events: events)
  }
}

extension TraceFacts {
  /// One connection or exception may have been told for two questions.
  mutating func removeDoubles() {
    var kept: [Connection] = []
    for connection in connections where !kept.contains(connection) { kept.append(connection) }
    connections = kept
    var noted: [Exception] = []
    for exception in exceptions where !noted.contains(exception) { noted.append(exception) }
    exceptions = noted
  }
}
