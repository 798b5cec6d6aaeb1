import AvaloCore

/// How it stands with a user: their devices and connections, their inbox, and what went wrong.
package struct UserTraceReport {
  let user: String
  let facts: TraceFacts
  /// Of the inbox, oldest first.
  let events: [TracedEvent]

  private var inbox: TraceFacts.Topic? { facts.topics.first { $0.name == "user:" + user } }

  /// Neither an event, nor a device, nor a connection, nor anything that went wrong.
  package var isEmpty: Bool {
    events.isEmpty && facts.connections.isEmpty && facts.exceptions.isEmpty && inbox?.devices.isEmpty ?? true
  }

  package var lines: [String] {
    guard !isEmpty else { return ["nothing is known of the user \(user)"] }
    var lines: [String] = []
    if let inbox {
      lines.append(
        inbox.head == 0
          ? "user:\(user): nothing was ever published to it"
          : "user:\(user): head \(inbox.head), floor \(inbox.floor), epoch \(inbox.epoch)")
      lines +=
        inbox.devices.isEmpty
        ? ["no device"]
        : TextTable.lines(
          [["DEVICE", "PLATFORM", "CONNECTED", "LAST SEEN", "ACKNOWLEDGED"]]
            + inbox.devices.map {
              [
                $0.device, $0.platform, $0.isOpen ? "yes" : "no", LocalTime.text($0.seenAt),
                $0.cursor.map { "up to \($0)" } ?? "nothing",
              ]
            })
    }
    if !facts.connections.isEmpty {
      lines.append("")
      lines += TextTable.lines(
        [["CONNECTION", "DEVICE", "GATEWAY", "SINCE", "TOPIC", "STATE", "WRITTEN"]]
          + facts.connections.map {
            [
              $0.id, $0.device, $0.instance, LocalTime.text($0.opened), $0.topic, $0.state,
              $0.through.map { "up to \($0)" } ?? "-",
            ]
          })
    }
    if !events.isEmpty {
      lines.append("")
      lines += TextTable.lines([["OFFSET", "EVENT", "ACCEPTED", "DEVICES"]] + events.map(row))
    }
    if !facts.exceptions.isEmpty {
      lines.append("")
      lines += facts.exceptions.map(UserTraceReport.line)
    }
    return lines
  }

  private func row(_ event: TracedEvent) -> [String] {
    [
      "\(event.offset)", event.id, event.acceptedAt.map { LocalTime.text($0) } ?? "-",
      outcomes(event).map { "\($0.device): \($0.outcome.rawValue)" }.joined(separator: ", "),
    ]
  }

  /// What became of it at each device.
  private func outcomes(_ event: TracedEvent) -> [(device: String, outcome: TraceVerdict.Outcome)] {
    guard let inbox else { return [] }
    let copy = TraceFacts.Copy(
      topic: inbox.name, offset: event.offset, state: "kept", acceptedAt: event.acceptedAt, expiresAt: event.expiresAt)
    return inbox.devices.map { ($0.device, TraceVerdict.of(copy, in: inbox, at: $0, facts).outcome) }
  }

  static func line(_ exception: TraceFacts.Exception) -> String {
    var text = "\(LocalTime.text(exception.at))  \(exception.kind)  \(exception.connection) (\(exception.device))"
    if let code = exception.code { text += "  \(code)" }
    if let why = exception.why { text += "  \(why)" }
    if exception.kind == "closed", !exception.isClean { text += "  the connection broke" }
    if let topic = exception.topic { text += "  \(topic)" }
    for (topic, offset) in exception.through.sorted(by: { $0.key < $1.key }) {
      text += "  \(topic) written up to \(offset)"
    }
    for (topic, status) in exception.denied.sorted(by: { $0.key < $1.key }) { text += "  \(topic) \(status)" }
    return text
  }

  package func write(to json: inout JSONWriter) {
    json.object {
      $0.member("user", user)
      $0.member("head", inbox?.head ?? 0)
      $0.key("devices")
      $0.array {
        for device in inbox?.devices ?? [] {
          $0.object {
            $0.member("device", device.device)
            $0.member("open", device.isOpen)
            $0.member("seenAt", device.seenAt)
            if let cursor = device.cursor { $0.member("cursor", cursor) }
          }
        }
      }
      $0.key("connections")
      $0.array {
        for connection in facts.connections {
          $0.object {
            $0.member("connection", connection.id)
            $0.member("device", connection.device)
            $0.member("topic", connection.topic)
            $0.member("state", connection.state)
            if let through = connection.through { $0.member("through", through) }
          }
        }
      }
      $0.key("events")
      $0.array {
        for event in events {
          $0.object { self.write(event, to: &$0) }
        }
      }
      $0.key("exceptions")
      $0.array { for exception in facts.exceptions { $0.string(UserTraceReport.line(exception)) } }
    }
  }

  private func write(_ event: TracedEvent, to json: inout JSONWriter) {
    json.member("offset", event.offset)
    json.member("eventId", event.id)
    json.member("type", event.type)
    if let time = event.acceptedAt { json.member("acceptedAt", time) }
    json.key("devices")
    json.array {
      for (device, outcome) in outcomes(event) {
        $0.object {
          $0.member("device", device)
          $0.member("outcome", outcome.rawValue)
        }
      }
    }
  }
}

/// An event of an inbox, as far as its way is concerned.
struct TracedEvent: Equatable {
  var offset: UInt64
  var id: String
  var type: String
  var acceptedAt: Int64?
  var expiresAt: Int64?

  init(_ view: JSONView) {
    offset = UInt64(clamping: view.number("offset") ?? 0)
    id = view.text("eventId")
    type = view.text("type")
    acceptedAt = view.number("acceptedAt")
    expiresAt = view.number("expiresAt")
  }
}
