import AvaloClient
import AvaloCore

/// How it stands with a user: their devices and connections, their inbox, and what went wrong.
struct UserTraceReport {
  let user: String
  let facts: TraceFacts
  /// Of the inbox, oldest first.
  let events: [JSONText]

  private var inbox: TraceFacts.Topic? { facts.topics.first { $0.name == "user:" + user } }

  /// Neither an event, nor a device, nor a connection, nor anything that went wrong.
  var isEmpty: Bool {
    events.isEmpty && facts.connections.isEmpty && facts.exceptions.isEmpty && inbox?.devices.isEmpty ?? true
  }

  var lines: [String] {
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
        : Output.tableLines(
          [["DEVICE", "PLATFORM", "CONNECTED", "LAST SEEN", "ACKNOWLEDGED"]]
            + inbox.devices.map {
              [
                $0.device, $0.platform, $0.isOpen ? "yes" : "no", WallClock.text($0.seenAt),
                $0.cursor.map { "up to \($0)" } ?? "nothing",
              ]
            })
    }
    if !facts.connections.isEmpty {
      lines.append("")
      lines += Output.tableLines(
        [["CONNECTION", "DEVICE", "GATEWAY", "SINCE", "TOPIC", "STATE", "WRITTEN"]]
          + facts.connections.map {
            [
              $0.id, $0.device, $0.instance, WallClock.text($0.opened), $0.topic, $0.state,
              $0.through.map { "up to \($0)" } ?? "-",
            ]
          })
    }
    if !events.isEmpty {
      lines.append("")
      lines += Output.tableLines([["OFFSET", "EVENT", "ACCEPTED", "DEVICES"]] + events.map(row))
    }
    if !facts.exceptions.isEmpty {
      lines.append("")
      lines += facts.exceptions.map(UserTraceReport.line)
    }
    return lines
  }

  private func row(_ event: JSONText) -> [String] {
    event.read { view in
      let copy = UserTraceReport.copy(view, inbox?.name)
      let outcomes = (inbox?.devices ?? []).map { device in
        "\(device.device): \(TraceVerdict.of(copy, in: inbox ?? .none, at: device, facts).outcome.rawValue)"
      }
      return [
        view.digits("offset"), view.text("eventId"), copy.acceptedAt.map { WallClock.text($0) } ?? "-",
        outcomes.joined(separator: ", "),
      ]
    }
  }

  private static func copy(_ view: JSONView, _ topic: String?) -> TraceFacts.Copy {
    TraceFacts.Copy(
      topic: topic, offset: UInt64(clamping: view.number("offset") ?? 0), state: "kept",
      acceptedAt: view.number("acceptedAt"), expiresAt: view.number("expiresAt"))
  }

  static func line(_ exception: TraceFacts.Exception) -> String {
    var text = "\(WallClock.text(exception.at))  \(exception.kind)  \(exception.connection) (\(exception.device))"
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

  var json: JSONText {
    JSONText.of {
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
      $0.key("exceptions")
      $0.array { for exception in facts.exceptions { $0.string(UserTraceReport.line(exception)) } }
    }
  }
}

extension TraceFacts.Topic {
  /// Nothing was ever published to it, and nobody reads it.
  static let none = TraceFacts.Topic(name: "", epoch: "", head: 0, floor: 0, devices: [])
}
