import AvaloClient
import AvaloCore

/// A topic's log, page by page, as the scheduler shows it to operators.
struct TopicLog {
  struct Page {
    var epoch: String
    var head: UInt64
    /// What lies between two events up to here is gone.
    var through: UInt64
    var events: [JSONText]
  }

  let topic: String
  private let control: Control

  init(_ topic: String, _ control: Control) {
    self.topic = topic
    self.control = control
  }

  /// 0 when nothing was published yet.
  func head() async throws -> UInt64 {
    let reply = try await control.ask(HTTPRequest("GET", Control.target("/workers/scheduler/topics", ["name": topic])))
    if reply.status == 404 { return 0 }
    return UInt64(clamping: try Control.document(reply).read { $0.number("head") } ?? 0)
  }

  /// - `waiting`: for something to come, for a while.
  func page(after: UInt64, limit: Int, waiting: Bool = false) async throws -> Page {
    let reply = try await control.ask(
      HTTPRequest(
        "GET",
        Control.target(
          "/workers/scheduler/events",
          ["topic": topic, "after": "\(after)", "limit": "\(limit)", "wait": waiting ? "20" : "0"])),
      timeout: .seconds(60))
    // That nothing was published yet is no error to who waits.
    if waiting, reply.status == 404 { return Page(epoch: "", head: 0, through: 0, events: []) }
    return try Control.document(reply).read { view in
      Page(
        epoch: view.text("epoch"), head: UInt64(clamping: view.number("head") ?? 0),
        through: UInt64(clamping: view.number("through") ?? 0), events: view.list("events").map { JSONText($0) })
    }
  }

  static func show(_ event: JSONText, json: Bool) { Output.line(json ? event.description : line(event)) }

  /// `#17  12:34:56.789  chat_message  evt_1  from bob  {"text":"hi"}`.
  static func line(_ event: JSONText) -> String {
    event.read { view in
      var parts = [
        "#\(view.digits("offset"))", view.number("acceptedAt").map { WallClock.timeOfDay($0) } ?? "-",
        view.text("type"), view.text("eventId"),
      ]
      if let source = view["sourceUserId"]?.string { parts.append("from \(source)") }
      if view.text("priority") != "normal" { parts.append(view.text("priority")) }
      parts.append(view["payload"].map { String(decoding: $0.raw, as: UTF8.self) } ?? "")
      return parts.joined(separator: "  ")
    }
  }
}
