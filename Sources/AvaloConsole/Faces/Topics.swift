import AvaloCore
import AvaloSystem

/// A topic, and what the log holds of it. Nothing is acknowledged by looking.
struct Topics: Sendable {
  let control: ControlSocket

  /// `{"topic": {"name", "epoch", "head", "floor", …}, "events": {"through", "events"}}`: both as the scheduler tells them.
  func answer(_ request: HTTPRequest) async throws(ControlSocket.Trouble) -> [UInt8] {
    guard let name = request.given("name"), Topic(name) != nil else {
      throw .nonsense("Name a topic, KIND:ID, such as user:ann.")
    }
    let topic = try await control.get("/workers/scheduler/topics", [("name", name)])
    let head = Topics.head(topic)
    let rows = UInt64(ConsoleLimits.rowsMax)
    let after = request.given("after").flatMap { UInt64($0) } ?? (head > rows ? head - rows : 0)
    let events = try await control.get(
      "/workers/scheduler/events", [("topic", name), ("after", "\(after)"), ("limit", "\(rows)")])
    var json = JSONWriter(capacity: topic.count + events.count + 64)
    json.object {
      $0.key("topic")
      $0.raw(topic)
      $0.key("events")
      $0.raw(events)
    }
    return json.take()
  }

  private static func head(_ topic: [UInt8]) -> UInt64 {
    topic.withUnsafeBytes { bytes in
      (try? JSONView(validating: bytes)["head"]?.integer).flatMap { UInt64(exactly: $0) } ?? 0
    }
  }
}
