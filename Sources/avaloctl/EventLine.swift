import AvaloClient
import AvaloCore

/// What a listener heard, as one line for people or for programs.
enum EventLine {
  static func text(_ update: RealtimeClient.Update) -> String {
    let what: String =
      switch update {
      case .connected(let ready):
        "connected as \(ready.userID), listening to \(ready.subscriptions.joined(separator: ", "))"
          + ready.denied.map { "; \($0.topic) is denied (\($0.code))" }.joined()
      case .event(let delivery):
        "\(delivery.topic) #\(delivery.offset)\(delivery.isAhead ? " ahead" : "") \(delivery.event.type) "
          + "\(delivery.event.payload)  \(latency(delivery)) ms"
      case .fact(let fact):
        "\(fact.topic) \(fact.isSnapshot ? "is" : "now") \(fact.event.type) \(fact.event.payload)"
      case .gap(let gap):
        "\(gap.topic): " + (gap.offsets.map { "\($0.lowerBound) to \($0.upperBound) will not come" } ?? "begins anew")
          + " (\(gap.reason))"
      case .hole(let topic, let offsets):
        "\(topic): \(offsets.lowerBound) to \(offsets.upperBound) are missing, and the server did not say so"
      case .live(let topic, let position): "\(topic): live at \(position.offset)"
      case .unsubscribed(let topic, let error): "\(topic): no longer subscribed (\(error.message))"
      case .complaint(let error): "the server says \(error.code.wireName): \(error.message)"
      case .disconnected(let error, let delay): "disconnected (\(error)); again in \(delay) ms"
      }
    return "\(WallClock.timeOfDay())  \(what)"
  }

  static func json(_ update: RealtimeClient.Update) -> String {
    JSONText { json in
      json.object {
        switch update {
        case .connected(let ready):
          $0.member("kind", "connected")
          $0.key("frame")
          $0.raw(ready.text.bytes)
        case .event(let delivery):
          $0.member("kind", "event")
          $0.member("latencyMs", latency(delivery))
          $0.key("frame")
          $0.raw(delivery.text.bytes)
        case .fact(let fact):
          $0.member("kind", "fact")
          $0.key("frame")
          $0.raw(fact.text.bytes)
        case .gap(let gap):
          $0.member("kind", "gap")
          $0.member("topic", gap.topic)
          $0.member("reason", gap.reason)
          if let offsets = gap.offsets {
            $0.member("from", offsets.lowerBound)
            $0.member("to", offsets.upperBound)
          }
        case .hole(let topic, let offsets):
          $0.member("kind", "hole")
          $0.member("topic", topic)
          $0.member("from", offsets.lowerBound)
          $0.member("to", offsets.upperBound)
        case .live(let topic, let position):
          $0.member("kind", "live")
          $0.member("topic", topic)
          $0.member("offset", position.offset)
        case .unsubscribed(let topic, let error):
          $0.member("kind", "unsubscribed")
          $0.member("topic", topic)
          $0.member("status", error.code.wireName)
          $0.member("message", error.message)
        case .complaint(let error):
          $0.member("kind", "error")
          $0.member("status", error.code.wireName)
          $0.member("message", error.message)
        case .disconnected(let error, let delay):
          $0.member("kind", "disconnected")
          $0.member("reason", error.description)
          $0.member("retryAfterMs", delay)
        }
      }
    }.description
  }

  /// Milliseconds from the event's timestamp to now; both clocks are wall clocks.
  private static func latency(_ delivery: Delivery) -> Int64 {
    WallClock.milliseconds() - delivery.event.timestampMilliseconds
  }
}
