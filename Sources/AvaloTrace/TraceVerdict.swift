/// What became of one event at one device, and why: the answer to "why did this user not get that event?".
///
/// Positive answers follow from what is kept anyway: acknowledged means that the device's cursor is at or beyond the
/// offset, written that a connection's position is. Only what went otherwise was noted. Where the two do not follow,
/// because the event was gone or not the device's, that is said, and no more.
struct TraceVerdict: Equatable {
  enum Outcome: String {
    case acknowledged, written, waiting, lost
    /// The device has gone past it without it, or perhaps without it.
    case passed
  }

  var outcome: Outcome
  /// One sentence.
  var text: String

  init(_ outcome: Outcome, _ text: String) {
    self.outcome = outcome
    self.text = text
  }

  /// - `device`: of those who read the topic.
  static func of(_ copy: TraceFacts.Copy, in topic: TraceFacts.Topic, at device: TraceFacts.Device, _ facts: TraceFacts)
    -> TraceVerdict
  {
    let here = Trail(topic.name, of: device, facts)
    if let passed = passed(copy, device, here) { return passed }
    if let cursor = device.cursor, cursor >= copy.offset {
      return TraceVerdict(.acknowledged, "acknowledged: its cursor is \(cursor)")
    }
    if let connection = here.live.first(where: { ($0.through ?? 0) >= copy.offset }) {
      let unsent =
        connection.backlog > 0 ? "; \(connection.backlog) bytes to it are not taken by the network yet" : ""
      return TraceVerdict(
        .written, "written to \(connection.id) (\(connection.instance)), not acknowledged yet\(unsent)")
    }
    if let last = here.ended(through: copy.offset, since: copy.acceptedAt).last {
      if let code = last.denied[topic.name] {
        return TraceVerdict(
          .written,
          "written to \(last.connection), whose subscription ended at \(LocalTime.text(last.at)) (\(code)) before it was "
            + "acknowledged")
      }
      return TraceVerdict(
        .written,
        "written to \(last.connection), which ended at \(LocalTime.text(last.at))\(reason(last, facts)) before it was "
          + "acknowledged; it is written again when the device comes back")
    }
    if copy.state == "expired" || copy.state == "evicted" { return lost(copy, device, facts) }
    if let connection = here.live.last { return waiting(copy, connection, facts) }
    return TraceVerdict(.waiting, away(copy, topic, device, facts))
  }

  /// Where a device's connections to one topic stand, and stood.
  private struct Trail {
    let live: [TraceFacts.Connection]
    private let over: [TraceFacts.Exception]
    private let topic: String

    init(_ topic: String, of device: TraceFacts.Device, _ facts: TraceFacts) {
      self.topic = topic
      live = facts.connections.filter { $0.topic == topic && $0.user == device.user && $0.device == device.device }
      over = facts.exceptions.filter {
        ($0.kind == "closed" || $0.kind == "denied") && $0.user == device.user && $0.device == device.device
      }
    }

    /// Those that had been written so far. What ended before the event was there speaks of another one at that offset.
    func ended(through offset: UInt64, since accepted: Int64?) -> [TraceFacts.Exception] {
      over.filter { ($0.through[topic] ?? 0) >= offset && $0.at >= accepted ?? 0 }
    }

    /// Whether a connection was there while the event was, and has come so far.
    func met(_ copy: TraceFacts.Copy) -> Bool {
      guard let last = copy.expiresAt ?? copy.acceptedAt else { return false }
      return live.contains { ($0.through ?? 0) >= copy.offset && $0.opened <= last }
        || ended(through: copy.offset, since: copy.acceptedAt).contains { ($0.opened ?? .max) <= last }
    }
  }

  /// The device's place is behind the event, and yet it was not written it, or is not known to have been.
  private static func passed(_ copy: TraceFacts.Copy, _ device: TraceFacts.Device, _ here: Trail) -> TraceVerdict? {
    if copy.offset <= device.began {
      return TraceVerdict(.passed, "from before the device read this topic: it began behind offset \(device.began)")
    }
    if let since = device.since, copy.offset < since {
      return TraceVerdict(
        .passed,
        "from before the user's present membership, which begins at offset \(since): not shown, and told as a gap")
    }
    guard copy.state != "kept", let cursor = device.cursor, cursor >= copy.offset, !here.met(copy) else { return nil }
    return TraceVerdict(
      .passed,
      "\(copy.state), and the device's cursor is \(cursor): it was told that something is gone there, unless it was connected "
        + "in time, of which nothing is known")
  }

  private static func lost(_ copy: TraceFacts.Copy, _ device: TraceFacts.Device, _ facts: TraceFacts) -> TraceVerdict {
    let how =
      copy.state == "evicted"
      ? "it was evicted by the topic's bounds"
      : "it expired" + (copy.expiresAt.map { " at \(LocalTime.text($0))" } ?? "")
    return TraceVerdict(
      .lost,
      "not known to have been written: \(how) while the device stood at \(device.cursor ?? 0), last seen "
        + "\(LocalTime.text(device.seenAt))")
  }

  private static func waiting(
    _ copy: TraceFacts.Copy, _ connection: TraceFacts.Connection, _ facts: TraceFacts
  ) -> TraceVerdict {
    let place = connection.through.map { " at \($0)" } ?? ""
    switch connection.state {
    case "parked":
      let parked = facts.exceptions.last { $0.kind == "parked" && $0.connection == connection.id }
      return TraceVerdict(
        .waiting,
        "not written yet: \(connection.id) reads too slowly and is parked\(place)"
          + (parked.map { " since \(LocalTime.text($0.at))" } ?? "") + "; it goes on from the log when it has drained")
    case "live":
      // Live and behind the offset: the event is on its way from the log this very moment.
      return TraceVerdict(.waiting, "on its way: \(connection.id) is live\(place)")
    default:
      return TraceVerdict(.waiting, "not written yet: \(connection.id) is \(connection.state)\(place), reading the log")
    }
  }

  private static func away(
    _ copy: TraceFacts.Copy, _ topic: TraceFacts.Topic, _ device: TraceFacts.Device, _ facts: TraceFacts
  ) -> String {
    let mine = facts.exceptions.filter { $0.user == device.user && $0.device == device.device }
    var text = "waits in the log" + (copy.expiresAt.map { " until \(LocalTime.text($0))" } ?? "")
    if device.isOpen {
      text += ": connected, but not subscribed to \(topic.name)"
      if let denied = mine.last(where: { $0.denied[topic.name] != nil }) {
        text += ", which was denied (\(denied.denied[topic.name] ?? "?")) at \(LocalTime.text(denied.at))"
      }
    } else if let refused = mine.last(where: { $0.kind == "refused" }), refused.at >= copy.acceptedAt ?? 0 {
      text += ": it tried to connect at \(LocalTime.text(refused.at)) and was refused (\(refused.why ?? "?"))"
    } else if let closed = mine.last(where: { $0.kind == "closed" }) {
      text += ": not connected since \(LocalTime.text(closed.at))\(reason(closed, facts))"
    } else {
      text += ": not connected, last seen \(LocalTime.text(device.seenAt))"
    }
    return text
  }

  /// Why a connection ended, in brackets with a space before.
  private static func reason(_ closed: TraceFacts.Exception, _ facts: TraceFacts) -> String {
    if let told = facts.exceptions.last(where: { $0.kind == "closing" && $0.connection == closed.connection }) {
      return " (we ended it: \(told.code.map { "\($0) " } ?? "")\(told.why ?? ""))"
    }
    return closed.isClean ? " (the client left)" : " (the connection broke)"
  }
}
