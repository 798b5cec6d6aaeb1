import AvaloCore
import AvaloWire

/// `readTopic`: a page of a topic's log, from an offset or from a moment on, with what is gone told. For servers with the
/// scope `read`; nothing is acknowledged by it.
enum ReadTopicEvents: Callable {
  static let name: StaticString = "readTopic"
  private static let fields = "topic, targetUserId, fromOffset, fromTime, epoch, limit"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    try request.server(with: .read)
    let read = try wish(try request.object("topic or targetUserId"))
    context.services.ask(read) { result in reply(result.map { answer($0, to: read) }) }
  }

  private static func wish(_ data: JSONView) throws(CallError) -> ReadTopic {
    var topic: Topic?
    var offset: UInt64?
    var time: Int64?
    var epoch = Epoch.none
    var limit = GatewayLimits.topicPageDefault
    try data.forEachMember { (key, value) throws(CallError) in
      if key.matches("topic") || key.matches("targetUserId") {
        guard topic == nil else {
          throw CallError(.invalidArgument, "targetUserId and topic are both there: give one of them")
        }
        topic =
          try key.matches("topic")
          ? CallValue.topic(value) : Topic.inbox(of: CallValue.identifier(value, "targetUserId"))
      } else if value.isNull, ["fromOffset", "fromTime", "epoch", "limit"].contains(key.string) {
        return
      } else if key.matches("fromOffset") {
        offset = UInt64(try CallValue.integer(value, "fromOffset", in: 1...Int64.max, "an offset: 1, 2, 3 …"))
      } else if key.matches("fromTime") {
        time = try CallValue.time(value, "fromTime")
      } else if key.matches("epoch") {
        guard let read = value.string.flatMap(Epoch.init) else {
          throw CallValue.refusal("epoch", "the epoch of an answer", value)
        }
        epoch = read
      } else if key.matches("limit") {
        limit = try CallValue.limit(value, max: GatewayLimits.topicPageMax)
      } else {
        throw CallValue.unknown(key, among: fields)
      }
    }
    guard let topic else { throw CallError(.invalidArgument, "topic or targetUserId is missing: what is to be read?") }
    guard !topic.isReserved else {
      throw CallError(.invalidArgument, "\(topic) has no log: topics of kind \(topic.kind) are the engine's own")
    }
    guard offset == nil || time == nil else {
      throw CallError(.invalidArgument, "fromOffset and fromTime are both there: give one of them")
    }
    return ReadTopic(
      topic: topic, after: Position(epoch: epoch, offset: (offset ?? 1) - 1), sinceMilliseconds: time ?? 0,
      limit: limit)
  }

  private static func answer(_ page: TopicPage, to read: ReadTopic) -> [UInt8] {
    var json = JSONWriter(capacity: 256 + page.rows.reduce(0) { $0 + $1.record.count + 256 })
    json.object { json in
      json.member("topic", read.topic.name)
      json.member("epoch", page.head.epoch.description)
      json.member("head", page.head.offset)
      json.member("floor", page.floor)
      json.key("events")
      json.array { json in
        for row in page.rows {
          row.record.withUnsafeBytes { bytes in
            // It was looked at when it came over the link.
            guard let record = EventRecord(bytes) else { return }
            json.eventObject(record, read.topic, offset: row.offset)
          }
        }
      }
      json.key("gaps")
      json.array { json in
        if read.after.epoch != .none, read.after.epoch != page.head.epoch, read.sinceMilliseconds == 0 {
          json.object {
            $0.member("epoch", page.head.epoch.description)
            $0.member("reason", GapReason.epoch.wireName)
          }
        }
        for hole in page.holes { json.object { $0.members(hole) } }
      }
      json.member("nextOffset", page.through + 1)
      json.member("hasMore", page.through < page.head.offset)
    }
    return json.bytes
  }
}

extension TopicPage {
  /// What lay between its events: evicted up to the floor, expired above.
  fileprivate var holes: [Hole] {
    var holes: [Hole] = []
    var next = after + 1
    func add(upTo end: UInt64) {
      let evicted = min(end, floor)
      if next <= evicted { holes.append(Hole(from: next, to: evicted, reason: .evicted)) }
      let expired = max(next, evicted + 1)
      if expired <= end { holes.append(Hole(from: expired, to: end, reason: .expired)) }
    }
    for row in rows {
      add(upTo: row.offset - 1)
      next = row.offset + 1
    }
    add(upTo: through)
    return holes
  }
}
