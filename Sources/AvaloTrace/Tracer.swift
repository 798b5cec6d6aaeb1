import AvaloCore

/// Asks the scheduler and every gateway what they know of an event's way, over avalod's control socket.
package struct Tracer: Sendable {
  /// What a path of the control socket answers, which is JSON.
  package typealias Ask = @Sendable (_ path: String, _ query: [(name: String, value: String)]) async throws -> [UInt8]

  private let ask: Ask

  package init(_ ask: @escaping Ask) { self.ask = ask }

  /// An event's journey.
  /// - `topic`: where it was for; else it is looked for in all that is kept.
  /// - `user`: who should have it: in their inbox, or where else it lies.
  package func event(_ id: String, topic: String?, user: String?) async throws -> TraceReport {
    var facts = try await facts(event: id, topic: topic ?? user.map { "user:" + $0 }, of: user)
    // It may lie in a topic that the user reads, or should.
    if facts.copies.isEmpty, let user { facts = try await self.facts(event: id, topic: nil, of: user) }
    return TraceReport(eventID: id, facts: facts, user: user)
  }

  /// How it stands with a user, and with the last so many events of their inbox.
  package func user(_ user: String, last: UInt64) async throws -> UserTraceReport {
    let name = "user:" + user
    let facts = try await facts(event: nil, topic: name)
    let head = facts.topics.first { $0.name == name }?.head ?? 0
    let after = head > last ? head - last : 0
    let events =
      head == 0
      ? []
      : try await read(
        "/workers/scheduler/events", [("topic", name), ("after", "\(after)"), ("limit", "\(last)")]
      ) { view in view.list("events").map { TracedEvent($0) } }
    return UserTraceReport(user: user, facts: facts, events: events)
  }

  /// What is known of an event, or, without one, of a topic; and of one user's connections.
  private func facts(event: String?, topic: String?, of user: String? = nil) async throws -> TraceFacts {
    var query: [(name: String, value: String)] = []
    if let event { query.append(("event", event)) }
    if let topic { query.append(("topic", topic)) }
    if event != nil {
      // Those whose events they could be: keys that are in force.
      let owners = try await read("/workers/gateway/api-keys") { Set($0.list("keys").map { $0.text("owner") }) }
      query.append(("owners", owners.sorted().joined(separator: ",")))
    }
    var facts = try await read("/workers/scheduler/trace", query) { TraceFacts($0) }
    let gateways = try await read("/status") { view in
      view.list("workers").first { $0.text("name") == "gateway" }.map {
        $0.list("instances").filter { $0.text("state") == "ready" }.map { "gateway.\($0.digits("slot"))" }
      } ?? []
    }
    // What was noted by instances that are there no more is in the folder of those that are; the last one reads it all.
    for gateway in gateways {
      let journal = ("journal", gateway == gateways.last ? "all" : "own")
      if let user { try facts.add(await ask("/workers/\(gateway)/trace", [("user", user), journal])) }
      for topic in facts.topics {
        try facts.add(await ask("/workers/\(gateway)/trace", [("topic", topic.name), journal]))
        // What is said of a user's connections, whatever they were subscribed to.
        guard topic.name.hasPrefix("user:") else { continue }
        try facts.add(await ask("/workers/\(gateway)/trace", [("user", String(topic.name.dropFirst(5))), journal]))
      }
    }
    facts.removeDoubles()
    return facts
  }

  private func read<Value>(
    _ path: String, _ query: [(name: String, value: String)] = [], _ body: (JSONView) throws -> Value
  ) async throws -> Value {
    try await ask(path, query).withUnsafeBytes { try body(JSONView(validating: $0)) }
  }
}

extension TraceFacts {
  fileprivate mutating func add(_ document: [UInt8]) throws {
    try document.withUnsafeBytes { add(try JSONView(validating: $0)) }
  }

  /// One connection or exception may have been told for two questions.
  fileprivate mutating func removeDoubles() {
    var kept: [Connection] = []
    for connection in connections where !kept.contains(connection) { kept.append(connection) }
    connections = kept
    var noted: [Exception] = []
    for exception in exceptions where !noted.contains(exception) { noted.append(exception) }
    exceptions = noted
  }
}
