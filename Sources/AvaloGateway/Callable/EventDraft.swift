import AvaloCore

/// An event as its publisher wrote it, checked field by field, with nothing filled in yet. Borrows the request's bytes.
struct EventDraft {
  private(set) var type = EventType.chatMessage
  private(set) var targetUser: String?
  private(set) var topicName: String?
  private(set) var payload: JSONView
  private(set) var eventID: String?
  private(set) var sourceUserID: String?
  private(set) var timestamp: Int64?
  private(set) var ttlSeconds: UInt32?
  private(set) var priority = Priority.normal
  private(set) var chatID: String?
  private(set) var messageID: String?
  /// Whether the payload says another chat or message, or none.
  private(set) var hasIDsBeside = false
  private(set) var deliverAt: Int64?

  private static let fields =
    "type, targetUserId, topic, payload, eventId, sourceUserId, timestamp, ttl, priority, chatId, messageId, deliverAt"

  /// - `now`: milliseconds since 1970.
  init(_ view: JSONView, now: Int64, payloadBytesMax: Int = Limits.payloadBytesMax) throws(CallError) {
    payload = view
    var type: EventType?
    var payload: JSONView?
    try view.forEachMember { (key, value) throws(CallError) in
      if key.matches("type") {
        type = try EventDraft.type(value)
      } else if key.matches("payload") {
        payload = try EventDraft.payload(value, payloadBytesMax)
      } else if value.isNull {
        // As if it were not there; but it must be a field.
        guard EventDraft.isField(key) else { throw CallValue.unknown(key, among: EventDraft.fields) }
      } else if key.matches("targetUserId") {
        targetUser = try CallValue.identifier(value, "targetUserId")
      } else if key.matches("topic") {
        topicName = try CallValue.topic(value).name
      } else if key.matches("eventId") {
        eventID = try CallValue.eventID(value)
      } else if key.matches("sourceUserId") {
        sourceUserID = try CallValue.identifier(value, "sourceUserId")
      } else if key.matches("timestamp") {
        timestamp = try CallValue.time(value, "timestamp")
      } else if key.matches("ttl") {
        let max = Int64(Limits.ttlSecondsMax)
        ttlSeconds = UInt32(
          try CallValue.integer(value, "ttl", in: 1...max, "an integer of 1 to \(max) seconds"))
      } else if key.matches("priority") {
        guard let priority = value.string.flatMap(Priority.init(wireName:)) else {
          throw CallValue.refusal("priority", "one of low, normal, high, urgent", value)
        }
        self.priority = priority
      } else if key.matches("chatId") {
        chatID = try CallValue.identifier(value, "chatId")
      } else if key.matches("messageId") {
        messageID = try CallValue.identifier(value, "messageId")
      } else if key.matches("deliverAt") {
        deliverAt = try CallValue.time(value, "deliverAt")
      } else {
        throw CallValue.unknown(key, among: EventDraft.fields)
      }
    }
    guard let type else { throw CallError(.invalidArgument, "type is missing: \(EventDraft.types)") }
    guard let payload else { throw CallError(.invalidArgument, "payload is missing: a JSON object") }
    self.type = type
    self.payload = payload
    if let deliverAt, deliverAt - now > GatewayLimits.deliverAheadMax.milliseconds {
      throw CallError(.invalidArgument, "deliverAt must be at most 30 days ahead, not \(deliverAt)")
    }
    hasIDsBeside =
      EventDraft.isBeside(chatID, payload["chatId"]) || EventDraft.isBeside(messageID, payload["messageId"])
    if chatID == nil { chatID = try lifted(payload["chatId"], "payload.chatId") }
    if messageID == nil { messageID = try lifted(payload["messageId"], "payload.messageId") }
  }

  /// The chat it belongs to, when that is an id.
  var chat: String? {
    get throws(CallError) {
      guard let chatID else { return nil }
      guard Topic.isWellFormedID(chatID.utf8) else { throw CallError(.invalidArgument, "chatId is no id: \(chatID)") }
      return chatID
    }
  }

  /// The event with every default, ready for the log.
  /// - `sourceUserID`: who is known to have caused it, over what the draft says.
  func fields(
    eventID: String, topic: Topic?, sourceUserID source: String? = nil, acceptedMicroseconds: Int64
  ) -> EventFields {
    var chat = chatID ?? ""
    if chat.isEmpty, let topic, topic.kind == "chat" { chat = String(topic.id) }
    return EventFields(
      type: type, priority: priority, ttlSeconds: ttlSeconds,
      timestampMilliseconds: timestamp ?? acceptedMicroseconds / 1000, acceptedMicroseconds: acceptedMicroseconds,
      eventID: eventID, sourceUserID: source ?? sourceUserID ?? "", chatID: chat, messageID: messageID ?? "",
      hasIDsBeside: hasIDsBeside, payload: Array(payload.raw))
  }

  /// Over what the publisher said, and nothing that was filled in: the same request has the same hash, whenever and
  /// wherever it arrives. The payload counts byte for byte.
  /// - `targets`: the topic, or the users.
  func contentHash(targets: some Sequence<String>) -> UInt64 {
    var hash = ContentHash()
    hash.add(Int64(type.rawValue))
    hash.add(Int64(priority.rawValue))
    hash.add(timestamp)
    hash.add(ttlSeconds.map(Int64.init))
    hash.add(deliverAt)
    hash.add(sourceUserID)
    hash.add(chatID)
    hash.add(messageID)
    hash.add(payload.raw)
    for target in targets { hash.add(target) }
    return hash.value()
  }

  // MARK: Fields

  private static let types =
    "one of " + EventType.allCases.filter(isPublishable).map(\.wireName).joined(separator: ", ")

  private static func type(_ view: JSONView) throws(CallError) -> EventType {
    guard let type = view.string.flatMap(EventType.init(wireName:)) else {
      throw CallValue.refusal("type", types, view)
    }
    guard isPublishable(type) else {
      throw CallError(
        .invalidArgument, "events of type \(type.wireName) cannot be published: they are the engine's own to send")
    }
    return type
  }

  /// Who is typing and how a user is go paths of their own; who has read what is the user's own to say.
  private static func isPublishable(_ type: EventType) -> Bool { type != .readReceipt }

  private static func payload(_ view: JSONView, _ max: Int) throws(CallError) -> JSONView {
    guard view.kind == .object else { throw CallValue.refusal("payload", "an object", view) }
    guard view.raw.count <= max else {
      throw .over(
        .payloadBytes, max: max, "payload may have \(max) bytes, not \(view.raw.count): send a link instead")
    }
    try TypeKeys.check(view)
    return view
  }

  /// Whether the publisher gave an id that the payload does not say.
  private static func isBeside(_ id: String?, _ view: JSONView?) -> Bool { id != nil && view?.string != id }

  /// A member of the payload that read state needs. A message's must be an id; in other events it may be what it likes.
  private func lifted(_ view: JSONView?, _ field: String) throws(CallError) -> String? {
    guard let view, !view.isNull else { return nil }
    if type == .chatMessage { return try CallValue.identifier(view, field) }
    guard let id = view.string, Topic.isWellFormedID(id.utf8) else { return nil }
    return id
  }

  private static func isField(_ key: JSONView) -> Bool {
    guard let name = key.string else { return false }
    return fields.split(separator: ", ").contains { $0 == name }
  }
}
