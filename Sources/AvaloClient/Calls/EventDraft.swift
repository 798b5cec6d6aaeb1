import AvaloCore

/// An event as it is published. docs/protocol/client.md says what each field may be.
public struct EventDraft: Sendable, Equatable {
  /// Where it goes.
  public enum Destination: Sendable, Equatable {
    /// A user's inbox.
    case user(String)
    /// Any topic: `chat:c1`, `feed:news`.
    case topic(String)
    /// Whoever a broadcast names.
    case none
  }

  /// What it is about.
  public var type: EventType
  /// Whose inbox, or which topic.
  public var destination: Destination
  /// A JSON object, at most 64 KiB.
  public var payload: JSONText
  /// Names it: the same again is kept once. Drawn when it is not given.
  public var eventID: String
  /// Who caused it; of what a user publishes, it is always the user.
  public var sourceUserID: String?
  /// Milliseconds since 1970; now when it is not given.
  public var timestampMilliseconds: Int64?
  /// How long it is worth delivering: 1 … 2 592 000; by its type when it is not given.
  public var ttlSeconds: Int?
  /// What goes first when there is a backlog.
  public var priority = Priority.normal
  /// Beside a payload that does not say it, say because it is encrypted.
  public var chatID: String?
  /// As ``chatID``.
  public var messageID: String?
  /// Milliseconds since 1970: hold the event until then.
  public var deliverAtMilliseconds: Int64?

  /// Needs what every event has; the rest is set on it.
  public init(_ type: EventType, to destination: Destination, payload: JSONText, eventID: String? = nil) {
    self.type = type
    self.destination = destination
    self.payload = payload
    self.eventID = eventID ?? randomName("evt_")
  }

  /// Throws ``ClientError/refused(_:)`` for what no server takes, and names the limit.
  func check() throws(ClientError) {
    let bytes = payload.bytes.count
    guard bytes > Limits.payloadBytesMax else { return }
    throw .refused(
      .over(
        .payloadBytes, max: Limits.payloadBytesMax,
        "payload has \(bytes) bytes, \(Limits.payloadBytesMax) are allowed"))
  }

  /// The data of the call.
  var data: JSONText { JSONText { json in json.object { write(to: &$0) } } }

  func write(to json: inout JSONWriter) {
    json.member("eventId", eventID)
    json.member("type", type.wireName)
    switch destination {
    case .user(let user): json.member("targetUserId", user)
    case .topic(let topic): json.member("topic", topic)
    case .none: break
    }
    if let sourceUserID { json.member("sourceUserId", sourceUserID) }
    json.key("payload")
    json.raw(payload.bytes)
    if let timestampMilliseconds { json.member("timestamp", timestampMilliseconds) }
    if let ttlSeconds { json.member("ttl", ttlSeconds) }
    if priority != .normal { json.member("priority", priority.wireName) }
    if let chatID { json.member("chatId", chatID) }
    if let messageID { json.member("messageId", messageID) }
    if let deliverAtMilliseconds { json.member("deliverAt", deliverAtMilliseconds) }
  }
}

/// What became of a publish: it is kept.
public struct PublishResult: Sendable, Equatable {
  /// As it was published, or as it was drawn.
  public var eventID: String
  /// Of an inbox: `user:{id}`.
  public var topic: String
  /// Where it lies; `nil` for an event that is held, or kept in no log.
  public var position: Position?
  /// `memory`, `os` or `disk`; `none` for typing and presence.
  public var durability: String
  /// It had been published before.
  public var isDuplicate: Bool

  init(_ answer: JSONText) throws(ClientError) {
    self = try answer.reading { view in
      guard let id = view["eventId"]?.string, let topic = view["topic"]?.string else { return nil }
      var position: Position?
      if let epoch = view["epoch"]?.string.flatMap(Epoch.init), let offset = view["offset"]?.integer {
        position = UInt64(exactly: offset).map { Position(epoch: epoch, offset: $0) }
      }
      return PublishResult(
        eventID: id, topic: topic, position: position, durability: view["durability"]?.string ?? "",
        isDuplicate: view["duplicate"]?.boolean ?? false)
    }
  }

  private init(eventID: String, topic: String, position: Position?, durability: String, isDuplicate: Bool) {
    self.eventID = eventID
    self.topic = topic
    self.position = position
    self.durability = durability
    self.isDuplicate = isDuplicate
  }
}

extension JSONText {
  /// Reads an answer; one that is not what the protocol says is told as broken.
  func reading<Value>(_ read: (JSONView) -> Value?) throws(ClientError) -> Value {
    guard let value = self.read(read) else {
      throw .broken("the server answered what the protocol does not know: \(description.prefix(200))")
    }
    return value
  }
}
