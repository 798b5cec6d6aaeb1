import AvaloCore

/// An event's journey as people read it, and as programs do.
package struct TraceReport {
  let eventID: String
  let facts: TraceFacts
  /// Whose view of it was asked for; `nil` for everybody's.
  var user: String?

  /// Nothing is known of the event.
  package var isEmpty: Bool { facts.copies.isEmpty }

  package var lines: [String] {
    guard !facts.copies.isEmpty else {
      return [
        "nothing is known of \(eventID): it was never accepted, or its traces are gone (ten minutes after it was)"
      ]
    }
    return facts.copies.flatMap { copy in [head(copy)] + life(copy) + journey(copy) }
  }

  /// `evt_1: chat_message, durable, normal, 312 bytes, from bob, published by shop`.
  private func head(_ copy: TraceFacts.Copy) -> String {
    var parts = [copy.type, copy.className, copy.priority, copy.bytes.map { "\($0) bytes" }].compactMap(\.self)
    if let source = copy.source { parts.append("from \(source)") }
    parts.append(copy.owner.map { "published by \($0)" } ?? "published by a key that is there no more")
    return "\(eventID): \(parts.joined(separator: ", "))"
  }

  private func life(_ copy: TraceFacts.Copy) -> [String] {
    var lines: [String] = []
    if copy.state == "cancelled" {
      let time = copy.acceptedAt.map { " \(LocalTime.text($0))" } ?? ""
      return ["  held for \(copy.topic ?? "?"), and taken back before its time\(time)"]
    }
    if let accepted = copy.acceptedAt { lines.append("  accepted \(LocalTime.text(accepted))") }
    if let due = copy.due { lines.append("  held until \(LocalTime.text(due)) for \(copy.topic ?? "?")") }
    if copy.recipients > 0 {
      let none = user.map { "; user:\($0) is none of them" } ?? "; name one: --user ID"
      lines.append("  a broadcast to \(copy.recipients) inboxes" + (copy.topic == nil ? none : ""))
    }
    guard let topic = copy.topic, copy.due == nil else { return lines }
    let known = facts.topics.first { $0.name == topic }
    let epoch = known.map { ", epoch \($0.epoch), head \($0.head), floor \($0.floor)" } ?? ""
    lines.append("  \(topic) offset \(copy.offset)\(epoch)")
    let span = copy.ttl.map { " (ttl \($0) s)" } ?? ""
    switch copy.state {
    case "kept": lines.append("  kept" + (copy.expiresAt.map { " until \(LocalTime.text($0))" } ?? "") + span)
    case "expired": lines.append("  expired" + (copy.expiresAt.map { " at \(LocalTime.text($0))" } ?? "") + span)
    default: lines.append("  \(copy.state): the topic's bounds took offsets up to \(known?.floor ?? 0)")
    }
    return lines
  }

  private func journey(_ copy: TraceFacts.Copy) -> [String] {
    guard let (topic, devices) = readers(of: copy) else { return [] }
    guard !devices.isEmpty else {
      return ["  no device\(user.map { " of \($0)" } ?? "") reads \(topic.name)"]
        + reasons(copy, topic).map { "  " + $0 }
    }
    return TextTable.lines(
      devices.map { device in
        ["  \(device.user)", device.device, TraceVerdict.of(copy, in: topic, at: device, facts).text]
      })
  }

  /// `nil` of what is in no topic yet, or not any more.
  private func readers(of copy: TraceFacts.Copy) -> (topic: TraceFacts.Topic, devices: [TraceFacts.Device])? {
    guard copy.due == nil, copy.state != "cancelled", let topic = facts.topics.first(where: { $0.name == copy.topic })
    else { return nil }
    return (topic, topic.devices.filter { user == nil || $0.user == user })
  }

  /// Why the user, or who the inbox is for, has no device there: the topic was denied, or they were not let in.
  private func reasons(_ copy: TraceFacts.Copy, _ topic: TraceFacts.Topic) -> [String] {
    let inbox = topic.name.hasPrefix("user:") ? String(topic.name.dropFirst("user:".count)) : nil
    guard let user = user ?? inbox else { return [] }
    let mine = facts.exceptions.filter { $0.user == user }
    let denied = mine.last { $0.denied[topic.name] != nil }
    let refused = mine.last { $0.kind == "refused" && $0.at >= copy.acceptedAt ?? 0 }
    return [denied, refused].compactMap(\.self).map(UserTraceReport.line)
  }

  package func write(to json: inout JSONWriter) {
    json.object {
      $0.member("eventId", eventID)
      $0.member("now", facts.now)
      $0.key("copies")
      $0.array {
        for copy in facts.copies {
          $0.object { self.write(copy, to: &$0) }
        }
      }
    }
  }

  private func write(_ copy: TraceFacts.Copy, to json: inout JSONWriter) {
    if let topic = copy.topic { json.member("topic", topic) }
    json.member("offset", copy.offset)
    json.member("state", copy.state)
    if let owner = copy.owner { json.member("owner", owner) }
    if let type = copy.type { json.member("type", type) }
    if copy.recipients > 0 { json.member("recipients", copy.recipients) }
    if let time = copy.acceptedAt { json.member("acceptedAt", time) }
    if let time = copy.expiresAt { json.member("expiresAt", time) }
    if let time = copy.due { json.member("due", time) }
    json.key("devices")
    json.array {
      guard let (topic, devices) = readers(of: copy) else { return }
      for device in devices {
        let verdict = TraceVerdict.of(copy, in: topic, at: device, facts)
        $0.object {
          $0.member("user", device.user)
          $0.member("device", device.device)
          $0.member("outcome", verdict.outcome.rawValue)
          $0.member("why", verdict.text)
        }
      }
    }
    guard let (topic, devices) = readers(of: copy), devices.isEmpty else { return }
    json.key("reasons")
    json.array { for reason in reasons(copy, topic) { $0.string(reason) } }
  }
}
