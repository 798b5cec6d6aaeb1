import AvaloCore
import AvaloWire

/// `broadcastToUsers`: appends one event to the inboxes of many users. Up to ``Limits/broadcastRecipientsMax`` in one
/// transaction, all or none; more in the background, and then the answer says that the log has all of them and what to
/// ask ``GetBroadcast`` about. For servers with the scope `broadcast`.
enum BroadcastToUsers: Callable {
  static let name: StaticString = "broadcastToUsers"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let access = context.access.current
    let key = try request.server(with: .broadcast)
    try PublishRealtimeEvent.admit(key, .broadcast, context, access)
    let limits = access.settings.limits
    let (users, event) = try parts(try request.object("userIds and event"), usersMax: limits.broadcastUsers)
    let accepted = context.wall.microseconds
    let draft = try EventDraft(event, now: accepted / 1000, payloadBytesMax: limits.payloadBytesMax)
    guard draft.targetUser == nil, draft.topicName == nil else {
      throw CallError(.invalidArgument, "event must not have targetUserId or topic: userIds say who it is for")
    }
    guard draft.type.retention == .durable else {
      throw CallError(
        .invalidArgument, "\(draft.type.wireName) is not kept in inboxes: publish it with publishRealtimeEvent")
    }
    guard draft.deliverAt == nil else {
      throw CallError(.invalidArgument, "event must not have deliverAt: a broadcast is sent at once")
    }

    let eventID = draft.eventID ?? context.newEventID()
    let fields = draft.fields(eventID: eventID, topic: nil, acceptedMicroseconds: accepted)
    let record = fields.record()
    let hash = draft.contentHash(targets: users)
    try context.admission.enter(max: limits.publishesInFlight)
    let done: (Result<Outcome, CallError>) -> Void = { result in
      context.admission.leave()
      reply(
        result.map { answer($0, eventID: eventID) }
          .mapError { PublishRealtimeEvent.outcomeUnknown($0, eventID: eventID) })
    }
    guard users.count > Limits.broadcastRecipientsMax else {
      let broadcast = Broadcast(owner: key.owner, contentHash: hash, record: record, recipients: users)
      return context.services.broadcast(broadcast) { result in done(result.map { Outcome($0) }) }
    }
    let begin = BeginBroadcast(
      owner: key.owner, attempt: context.random.next(), contentHash: hash, record: record,
      recipients: UInt32(users.count))
    BroadcastUpload(begin, users, context.services, done: { result in done(result.map { Outcome($0, users.count) }) })
      .start()
  }

  /// What became of it.
  private struct Outcome {
    var recipients: Int
    var durability: Durability
    var duplicate: Bool
    /// Of one in the background.
    var broadcast: UInt64?

    init(_ broadcasted: Broadcasted) {
      recipients = Int(broadcasted.recipients)
      durability = broadcasted.durability
      duplicate = broadcasted.duplicate
    }

    init(_ begun: BroadcastBegun, _ recipients: Int) {
      self.recipients = recipients
      durability = begun.durability
      duplicate = begun.duplicate
      broadcast = begun.broadcast
    }
  }

  private static func parts(
    _ data: JSONView, usersMax: Int
  ) throws(CallError) -> (users: [String], event: JSONView) {
    var users: [String]?
    var event: JSONView?
    try data.forEachMember { (key, value) throws(CallError) in
      if key.matches("userIds") {
        users = try CallValue.users(value, "userIds", max: usersMax)
      } else if key.matches("event") {
        guard value.kind == .object else { throw CallValue.refusal("event", "an object", value) }
        event = value
      } else {
        throw CallValue.unknown(key, among: "userIds, event")
      }
    }
    guard let users else { throw CallError(.invalidArgument, "userIds is missing: a list of user ids") }
    guard let event else { throw CallError(.invalidArgument, "event is missing: an object with type and payload") }
    return (users, event)
  }

  private static func answer(_ outcome: Outcome, eventID: String) -> [UInt8] {
    var json = JSONWriter(capacity: 192)
    json.object {
      $0.member("success", true)
      $0.member("eventId", eventID)
      if let broadcast = outcome.broadcast { $0.member("broadcastId", BroadcastID.text(broadcast)) }
      $0.member("recipients", outcome.recipients)
      $0.member("durability", outcome.durability.wireName)
      $0.member("duplicate", outcome.duplicate)
    }
    return json.bytes
  }
}

/// How a broadcast in the background is named to servers: `bct_` and sixteen hexadecimal digits.
enum BroadcastID {
  private static let prefix = "bct_"
  private static let digits = 16

  static func text(_ id: UInt64) -> String {
    let hexadecimal = String(id, radix: 16)
    return prefix + String(repeating: "0", count: digits - hexadecimal.count) + hexadecimal
  }

  static func read(_ text: String) -> UInt64? {
    guard text.hasPrefix(prefix), text.utf8.count == prefix.utf8.count + digits else { return nil }
    let hexadecimal = text.dropFirst(prefix.count)
    guard hexadecimal.allSatisfy(\.isHexDigit) else { return nil }
    return UInt64(hexadecimal, radix: 16)
  }
}
