import AvaloCore
import AvaloStore
import AvaloSystem

/// `GET /trace?event=ID`: what the log knows of an event and of those it is for. The owner is derived from the
/// idempotency key, so that nothing is stored for the question's sake.
///
///     event=ID&topic=T&owners=a,b   an event by its id, in one topic or all
///     topic=T                       the devices that read a topic, and where they stand
struct TraceRoute: Sendable {
  let control: ControlRoutes
  let wall: WallClock

  func add(to routes: HTTPRoutes) {
    routes.add("GET", "/trace") { await answer($0) }
  }

  private func answer(_ request: HTTPRequest) async -> HTTPResponse {
    let topic = request.parameter("topic")
    let event = request.parameter("event")
    guard topic.map({ Topic($0) != nil }) ?? (event != nil), event.map({ !$0.isEmpty }) ?? true else {
      return ControlRoutes.refusal(400, "ask like this: /trace?event=evt_1&topic=user:ann&owners=shop,blog")
    }
    do throws(LogError) {
      var copies: [Copy] = []
      if let event {
        let owners = request.parameter("owners")?.split(separator: ",").map(String.init) ?? []
        let trace = try await control.pages.trace(
          TraceRequest(
            eventID: event, owners: owners + [SchedulerLimits.operatorOwner], topic: topic,
            limit: SchedulerLimits.tracesMax))
        copies = Copy.all(of: trace)
      }
      var names = Set(copies.compactMap(\.topic))
      if let topic { names.insert(topic) }
      var topics: [TracedTopic] = []
      for name in names.sorted() { topics.append(try await self.topic(name)) }
      return .json(TraceDocument.text(event, copies, topics, now: wall.milliseconds))
    } catch {
      return ControlRoutes.refusal(503, "\(error)")
    }
  }

  private func topic(_ name: String) async throws(LogError) -> TracedTopic {
    var traced = TracedTopic(
      name: name, devices: try await control.pages.devices(of: name, limit: SchedulerLimits.tracedDevicesMax))
    if case .topic(let report) = await control.answer(.topic(name)) { traced.report = report }
    for user in Set(traced.devices.map(\.user)) {
      if case .devices(_, let open) = await control.answer(.devices(user: user)) { traced.open.formUnion(open) }
    }
    return traced
  }

  /// One place of an event, and what is left there.
  struct Copy {
    var topic: String?
    var offset: UInt64
    var record: [UInt8]?
    var recipients: UInt64 = 0
    /// Milliseconds since 1970, while it is held for later.
    var due: Int64?
    var accepted: EventTrace.Accepted?

    /// What is kept, with who published it; what was kept once; what is held.
    static func all(of trace: EventTrace) -> [Copy] {
      var copies = trace.kept.map {
        Copy(topic: $0.topic, offset: $0.offset, record: $0.record, recipients: $0.recipients)
      }
      for accepted in trace.accepted {
        // A broadcast's key is of no topic, and all its copies'.
        let same = copies.indices.filter {
          accepted.topic == nil ? copies[$0].recipients > 0 : copies[$0].topic == accepted.topic
        }
        for index in same { copies[index].accepted = accepted }
        let isHeld = trace.held.contains { $0.topic == accepted.topic && $0.hash == accepted.key.hash }
        // One without an offset is nowhere: it is held, was taken back, or went with its user.
        guard same.isEmpty, !isHeld, accepted.topic == nil || accepted.key.offset > 0 else { continue }
        copies.append(
          Copy(
            topic: accepted.topic, offset: accepted.topic == nil ? 0 : accepted.key.offset,
            recipients: accepted.topic == nil ? accepted.key.offset : 0, accepted: accepted))
      }
      for held in trace.held {
        var copy = Copy(topic: held.topic, offset: 0, record: held.record, due: held.due)
        copy.accepted = trace.accepted.first { $0.topic == held.topic && $0.key.hash == held.hash }
        copies.append(copy)
      }
      for fate in trace.fates where fate.key.offset == SchedulerCore.cancelledFate {
        guard !copies.contains(where: { $0.topic == fate.topic }) else { continue }
        copies.append(
          Copy(
            topic: fate.topic, offset: 0,
            accepted: EventTrace.Accepted(topic: fate.topic, owner: fate.owner, key: fate.key)))
      }
      return copies
    }
  }

  struct TracedTopic {
    var name: String
    var report: TopicReport?
    var devices: [TracedDevice]
    var open: Set<DeviceID> = []

    init(name: String, devices: [TracedDevice]) {
      self.name = name
      self.devices = devices
    }
  }
}

/// The answer's text.
enum TraceDocument {
  static func text(
    _ event: String?, _ copies: [TraceRoute.Copy], _ topics: [TraceRoute.TracedTopic], now: Int64
  ) -> [UInt8] {
    var json = JSONWriter(capacity: 4096)
    json.object {
      if let event { $0.member("eventId", event) }
      $0.member("now", now)
      $0.key("copies")
      $0.array {
        for copy in copies {
          let topic = topics.first { $0.name == copy.topic }
          $0.object { $0.copy(copy, floor: topic?.report?.floor ?? 0, now: now) }
        }
      }
      $0.key("topics")
      $0.array { for topic in topics { $0.object { $0.topic(topic) } } }
    }
    return json.take()
  }

  /// `kept`, `held`, or how it went: what never got an offset was taken back, what is gone at or below the floor was
  /// evicted, else it expired.
  static func state(of copy: TraceRoute.Copy, floor: UInt64, now: Int64) -> String {
    if copy.due != nil { return "held" }
    if copy.topic != nil, copy.offset == 0 { return "cancelled" }
    if copy.topic != nil, copy.offset <= floor { return "evicted" }
    let expires = copy.record.flatMap { bytes in
      bytes.withUnsafeBytes { EventRecord($0)?.expiresMilliseconds }
    }
    guard let expires, expires > now else { return "expired" }
    return "kept"
  }
}

extension JSONWriter {
  fileprivate mutating func copy(_ copy: TraceRoute.Copy, floor: UInt64, now: Int64) {
    if let topic = copy.topic { member("topic", topic) }
    if copy.recipients > 0 { member("recipients", copy.recipients) }
    member("state", TraceDocument.state(of: copy, floor: floor, now: now))
    if let due = copy.due { member("due", due) }
    if let accepted = copy.accepted {
      member("owner", accepted.owner)
      member("keptAt", accepted.key.accepted)
    }
    guard let record = copy.record else { return member("offset", copy.offset) }
    record.withUnsafeBytes { bytes in
      guard let record = EventRecord(bytes) else { return }
      event(record, offset: copy.offset)
      member("class", "\(record.type.retention)")
      member("bytes", bytes.count)
    }
  }

  fileprivate mutating func topic(_ topic: TraceRoute.TracedTopic) {
    member("name", topic.name)
    if let report = topic.report {
      member("epoch", report.epoch.description)
      member("head", report.head)
      member("floor", report.floor)
      member("watchers", report.watchers)
    }
    key("devices")
    array {
      for device in topic.devices {
        $0.object {
          $0.member("user", device.user)
          $0.member("device", device.device.device)
          $0.member("platform", device.device.platform.wireName ?? "unknown")
          $0.member("seenAt", device.device.seen)
          $0.member("open", topic.open.contains(device.device.id))
          if let cursor = device.cursor { $0.member("cursor", cursor) }
          if device.began > 0 { $0.member("began", device.began) }
          if let since = device.since { $0.member("since", since) }
        }
      }
    }
  }
}
