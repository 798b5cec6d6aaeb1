import AvaloClient
import AvaloCore

/// What a listener heard, as one line for people or for programs.
enum EventLine {
  /// `nil` for what is of no interest.
  static func text(_ update: RealtimeUpdate) -> String? {
    let what: String
    switch update {
    case .ready(let ready):
      what =
        "connected as \(ready.userID), listening to \(ready.subscriptions.joined(separator: ", "))"
        + ready.denied.map { "; \($0.topic) is denied (\($0.code))" }.joined()
    case .event(let event): what = text(event)
    case .gap(let gap):
      what =
        "\(gap.topic): " + (gap.offsets.map { "\($0.lowerBound) to \($0.upperBound) will not come" } ?? "begins anew")
        + " (\(gap.reason))"
    case .hole(let topic, let offsets):
      what = "\(topic): \(offsets.lowerBound) to \(offsets.upperBound) are missing, and the server did not say so"
    case .recovered(let topic, let events): what = "\(topic): resumed, \(events) came meanwhile"
    case .live(let topic, let position): what = "\(topic): live at \(position.offset)"
    case .unsubscribed(let topic, let error): what = "\(topic): no longer subscribed (\(error.message))"
    case .complaint(.refused(let error)): what = "the server says \(error.code.wireName): \(error.message)"
    case .complaint(let error): what = error.description
    case .lost(let ending, let delay): what = "disconnected (\(describe(ending))); again in \(delay) ms"
    // A denial is told with the connection.
    case .state, .denied: return nil
    }
    return "\(WallClock.timeOfDay())  \(what)"
  }

  private static func text(_ event: RealtimeEvent) -> String {
    guard let offset = event.offset else {
      return "\(event.topic) \(event.isSnapshot ? "is" : "now") \(event.type) \(event.payload)"
    }
    return
      "\(event.topic) #\(offset)\(event.isAhead ? " ahead" : "") \(event.type) \(event.payload)  \(latency(event)) ms"
  }

  static func describe(_ ending: TransportEnding) -> String {
    if ending.code == 0 { return ending.text }
    return ending.text.isEmpty ? "\(ending.code)" : "\(ending.code) \(ending.text)"
  }

  /// `nil` for what is of no interest.
  static func json(_ update: RealtimeUpdate) -> String? {
    switch update {
    case .state, .denied, .recovered: return nil
    default: break
    }
    return JSONText { json in
      json.object {
        switch update {
        case .ready(let ready):
          $0.member("kind", "connected")
          $0.key("frame")
          $0.raw(ready.text.bytes)
        case .event(let event):
          $0.member("kind", event.offset == nil ? "fact" : "event")
          if event.offset != nil { $0.member("latencyMs", latency(event)) }
          $0.key("frame")
          $0.raw(event.frame.bytes)
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
          if case .refused(let refusal) = error {
            $0.member("status", refusal.code.wireName)
            $0.member("message", refusal.message)
          } else {
            $0.member("message", error.description)
          }
        case .lost(let ending, let delay):
          $0.member("kind", "disconnected")
          $0.member("reason", describe(ending))
          $0.member("retryAfterMs", delay)
        case .state, .denied, .recovered: break
        }
      }
    }.description
  }

  /// Milliseconds from the event's timestamp to now; both clocks are wall clocks.
  private static func latency(_ event: RealtimeEvent) -> Int64 {
    WallClock.milliseconds() - event.timestampMilliseconds
  }
}
