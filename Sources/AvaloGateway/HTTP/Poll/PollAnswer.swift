import AvaloCore

/// What a poll was told, turned into its answer. Pure.
struct PollAnswer {
  /// JSON texts, each with a comma behind.
  private let texts: [UInt8]

  init(_ texts: [UInt8]) { self.texts = texts }

  /// Whether there is something to answer for: that a replay is over is none.
  var isNews: Bool { contains { $0["event"] != nil || $0["gap"] != nil || $0["unsubscribed"] != nil } }
  var hasEvents: Bool { contains { $0["event"] != nil } }

  /// `{"success":true,"events":[…],"gaps":[…],"unsubscribed":[…],"denied":[…],"cursor":"…","serverTime":…}`; an event has `topic` and
  /// `offset` beside its own members. `cursor`: `nil` where there are more topics than it may have.
  func json(cursor: String?, now: Int64) -> [UInt8] {
    var json = JSONWriter(capacity: texts.count + 256)
    json.object { json in
      json.member("success", true)
      json.key("events")
      json.array { json in
        forEach { if let event = $0["event"] { PollAnswer.write(event, of: $0, to: &json) } }
      }
      if contains({ $0["gap"] != nil || $0["skipped"] != nil }) {
        json.key("gaps")
        json.array { json in forEach { PollAnswer.writeGaps(of: $0, to: &json) } }
      }
      if contains({ $0["unsubscribed"] != nil }) {
        json.key("unsubscribed")
        json.array { json in forEach { if let ended = $0["unsubscribed"] { json.raw(ended.raw) } } }
      }
      forEach {
        guard let denied = $0["ready"]?["denied"], denied.elements.contains(where: { _ in true }) else { return }
        json.key("denied")
        json.raw(denied.raw)
      }
      if let cursor { json.member("cursor", cursor) }
      json.member("serverTime", now)
    }
    return json.bytes
  }

  private static func write(_ event: JSONView, of frame: JSONView, to json: inout JSONWriter) {
    json.object {
      for (key, value) in event.members {
        $0.key(key.string ?? "")
        $0.raw(value.raw)
      }
      for name in ["topic", "offset", "epoch", "ahead"] as [StaticString] {
        guard let value = frame[name] else { continue }
        $0.key(name)
        $0.raw(value.raw)
      }
    }
  }

  private static func writeGaps(of frame: JSONView, to json: inout JSONWriter) {
    if let gap = frame["gap"] { json.raw(gap.raw) }
    guard let skipped = frame["skipped"], let topic = frame["topic"] else { return }
    json.object {
      $0.key("topic")
      $0.raw(topic.raw)
      for (key, value) in skipped.members {
        $0.key(key.string ?? "")
        $0.raw(value.raw)
      }
    }
  }

  private func contains(_ condition: (JSONView) -> Bool) -> Bool {
    var found = false
    forEach { found = found || condition($0) }
    return found
  }

  private func forEach(_ body: (JSONView) -> Void) {
    guard !texts.isEmpty else { return }
    let list = [UInt8(ascii: "[")] + texts.dropLast() + [UInt8(ascii: "]")]
    list.withUnsafeBytes { text in
      for element in JSONView(written: text).elements { body(element) }
    }
  }
}
