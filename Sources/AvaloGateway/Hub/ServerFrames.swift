import AvaloCore

/// Why offsets will not come.
enum GapReason: Int, CaseIterable {
  case expired, evicted, epoch
  /// The user was no member then.
  case membership

  var wireName: String {
    switch self {
    case .expired: "expired"
    case .evicted: "evicted"
    case .epoch: "epoch"
    case .membership: "membership"
    }
  }
}

/// A run of offsets that holds no event any more.
struct Hole: Equatable {
  var from: UInt64
  var to: UInt64
  var reason: GapReason
}

/// What a session is sent, each known by its key: docs/protocol/asyncapi.yaml has the same list, and the members.
enum ServerFrameKind: CaseIterable {
  case ready, event, gap, live, unsubscribed
  /// Answers a call: it has `id`, and `result` or `error`.
  case answer
  case pong, expiring, goaway, error

  var key: StaticString {
    switch self {
    case .ready: "ready"
    case .event: "event"
    case .gap: "gap"
    case .live: "live"
    case .unsubscribed: "unsubscribed"
    case .answer: "id"
    case .pong: "pong"
    case .expiring: "expiring"
    case .goaway: "goaway"
    case .error: "error"
    }
  }
}

/// What a client may send, each known by its key. An `id` may stand beside it.
enum ClientFrameKind: CaseIterable {
  case connect, call, ack, ping

  var key: StaticString {
    switch self {
    case .connect: "connect"
    case .call: "call"
    case .ack: "ack"
    case .ping: "ping"
    }
  }

  /// For people.
  static let keys = allCases.map(\.key.description).joined(separator: ", ")
}

// The shapes of docs/protocol/client.md, in one place. Each appends one whole JSON object.
extension JSONWriter {
  /// `{"event":{…},"topic":"user:u","offset":18}` with what belongs to it.
  mutating func event(
    _ record: EventRecord, topic: Topic, offset: UInt64, epoch: Epoch? = nil, skipped: Hole? = nil, ahead: Bool = false
  ) {
    object {
      $0.key(ServerFrameKind.event.key)
      $0.eventObject(record, topic)
      $0.member("topic", topic.name)
      $0.member("offset", offset)
      if let epoch { $0.member("epoch", epoch.description) }
      if let skipped {
        $0.key("skipped")
        $0.object { $0.members(skipped) }
      }
      if ahead { $0.member("ahead", true) }
    }
  }

  /// `{"event":{…},"topic":"chat:c","version":18}`: keyed state, of which the highest version counts.
  mutating func latest(_ record: EventRecord, topic: Topic, version: UInt64) {
    object {
      $0.key(ServerFrameKind.event.key)
      $0.eventObject(record, topic)
      $0.member("topic", topic.name)
      $0.member("version", version)
    }
  }

  /// The event as the publisher gave it, with the server's defaults.
  /// - `offset`: where it lies, when that belongs into the object.
  mutating func eventObject(_ record: EventRecord, _ topic: Topic, offset: UInt64? = nil) {
    object {
      if let offset { $0.member("offset", offset) }
      $0.member("eventId", utf8: record.eventID)
      $0.member("type", record.type.wireName)
      if topic.isInbox { $0.targetMember(topic) }
      if !record.sourceUserID.isEmpty { $0.member("sourceUserId", utf8: record.sourceUserID) }
      $0.key("payload")
      $0.raw(record.payload)
      $0.member("timestamp", record.timestampMilliseconds)
      if record.hasOwnTTL { $0.member("ttl", record.ttlSeconds) }
      $0.idsBeside(record, in: topic)
      if record.priority != .normal { $0.member("priority", record.priority.wireName) }
    }
  }

  /// The inbox's owner, where it lies in the topic's name.
  private mutating func targetMember(_ topic: Topic) {
    var name = topic.name
    name.withUTF8 { name in
      member("targetUserId", utf8: UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: name.dropFirst(5))))
    }
  }

  mutating func gap(_ topic: Topic, _ hole: Hole) {
    object {
      $0.key(ServerFrameKind.gap.key)
      $0.object {
        $0.member("topic", topic.name)
        $0.members(hole)
      }
    }
  }

  /// The log was lost or restored; `epoch` is the new one.
  mutating func epochGap(_ topic: Topic, _ epoch: Epoch) {
    object {
      $0.key(ServerFrameKind.gap.key)
      $0.object {
        $0.member("topic", topic.name)
        $0.member("epoch", epoch.description)
        $0.member("reason", GapReason.epoch.wireName)
      }
    }
  }

  mutating func members(_ hole: Hole) {
    member("from", hole.from)
    member("to", hole.to)
    member("reason", hole.reason.wireName)
  }

  mutating func live(_ topic: Topic, _ position: Position) {
    object {
      $0.key(ServerFrameKind.live.key)
      $0.object {
        $0.member("topic", topic.name)
        $0.member("epoch", position.epoch.description)
        $0.member("offset", position.offset)
      }
    }
  }

  mutating func ready(
    _ session: Session, _ subscriptions: [Topic], pingIntervalMilliseconds: Int64, nowMilliseconds: Int64
  ) {
    object {
      $0.key(ServerFrameKind.ready.key)
      $0.object {
        $0.member("connectionId", session.connectionID)
        $0.member("userId", session.user)
        $0.member("deviceId", session.device)
        AccessRules.Grant(granted: subscriptions, denied: session.entry?.denied ?? []).write(to: &$0)
        session.entry?.reads?.write(to: &$0)
        $0.member("expiresAt", session.expiresAtMilliseconds)
        $0.member("pingInterval", pingIntervalMilliseconds)
        $0.member("serverTime", nowMilliseconds)
      }
    }
  }

  /// The subscription has ended, and why.
  mutating func unsubscribed(_ topic: Topic, _ error: CallError) {
    object {
      $0.key(ServerFrameKind.unsubscribed.key)
      $0.object {
        $0.member("topic", topic.name)
        $0.member("code", error.code.wireName)
        $0.member("message", error.message)
      }
    }
  }

  mutating func pong(id: UnsafeRawBufferPointer?, nowMilliseconds: Int64) {
    object {
      $0.id(id)
      $0.key(ServerFrameKind.pong.key)
      $0.object { $0.member("serverTime", nowMilliseconds) }
    }
  }

  /// The token ends then; a new one keeps the connection.
  mutating func expiring(atMilliseconds: Int64) {
    object {
      $0.key(ServerFrameKind.expiring.key)
      $0.object { $0.member("expiresAt", atMilliseconds) }
    }
  }

  mutating func goaway(retryAfterMilliseconds: UInt32) {
    object {
      $0.key(ServerFrameKind.goaway.key)
      $0.object { $0.member("retryAfterMs", retryAfterMilliseconds) }
    }
  }

  /// The answer to a call.
  mutating func answer(id: UnsafeRawBufferPointer, _ result: Result<[UInt8], CallError>) {
    object {
      $0.id(id)
      CallAnswer.write(result, to: &$0)
    }
  }

  /// An error that answers no call.
  mutating func error(_ error: CallError) {
    object {
      $0.key(ServerFrameKind.error.key)
      CallAnswer.write(error, to: &$0)
    }
  }

  /// The client's id as it came, JSON text.
  private mutating func id(_ id: UnsafeRawBufferPointer?) {
    guard let id else { return }
    key(ServerFrameKind.answer.key)
    raw(id)
  }
}
