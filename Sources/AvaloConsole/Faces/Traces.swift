import AvaloCore
import AvaloSystem
import AvaloTrace
import Synchronization

/// What became of an event, and how it stands with a user: as `avaloctl trace` tells it.
final class Traces: Sendable {
  private let control: ControlSocket
  private let running = Atomic(0)

  init(control: ControlSocket) { self.control = control }

  /// `{"event": {"eventId", "copies"}}` when one is named, else `{"user": {…}}`.
  func answer(_ request: HTTPRequest) async throws(ControlSocket.Trouble) -> [UInt8] {
    let user = try People.user(request.given("user"))
    let topic = request.given("topic")
    if let topic, Topic(topic) == nil { throw .nonsense("Name a topic as KIND:ID, such as user:ann, or none.") }
    let event = request.given("event")
    guard event != nil || user != nil else { throw .nonsense("Name an event, or a user.") }
    guard user == nil || topic == nil else { throw .nonsense("Name a user or a topic: a user's inbox is a topic.") }

    let others = running.add(1, ordering: .relaxed).oldValue
    defer { running.subtract(1, ordering: .relaxed) }
    guard others < ConsoleLimits.tracesMax else {
      throw ControlSocket.Trouble(kind: .away, message: "Others look for something just now; try again.")
    }
    do {
      return try await write(event, user, topic)
    } catch let trouble as ControlSocket.Trouble {
      throw trouble
    } catch {
      throw ControlSocket.Trouble(kind: .away, message: "An answer made no sense: \(error)")
    }
  }

  private func write(_ event: String?, _ user: String?, _ topic: String?) async throws -> [UInt8] {
    let control = control
    let tracer = Tracer { path, query in
      try await control.get(path, query, timeout: ConsoleLimits.traceTimeMax)
    }
    var json = JSONWriter(capacity: 4096)
    if let event {
      let report = try await tracer.event(event, topic: topic, user: user)
      json.object {
        $0.key("event")
        report.write(to: &$0)
      }
    } else if let user {
      let report = try await tracer.user(user, last: ConsoleLimits.tracedEvents)
      json.object {
        $0.key("user")
        report.write(to: &$0)
      }
    }
    return json.take()
  }
}
