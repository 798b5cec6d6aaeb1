import AvaloCore
import AvaloWire

/// `broadcastToUsers`: appends one event to the inboxes of many users, all or none. For servers with the scope
/// `broadcast`.
enum BroadcastToUsers: Callable {
  static let name: StaticString = "broadcastToUsers"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let access = context.access.current
    let key = try request.server(with: .broadcast)
    try PublishRealtimeEvent.admit(key, .broadcast, context, access)
    let (users, event) = try parts(try request.object("userIds and event"))
    let accepted = context.wall.microseconds
    let draft = try EventDraft(event, now: accepted / 1000)
    guard draft.targetUser == nil, draft.topicName == nil else {
      throw CallError(.invalidArgument, "event must not have targetUserId or topic: userIds say who it is for")
    }
    guard draft.deliverAt == nil else {
      throw CallError(.invalidArgument, "event must not have deliverAt: a broadcast is sent at once")
    }

    let eventID = draft.eventID ?? context.newEventID()
    let fields = draft.fields(eventID: eventID, topic: nil, acceptedMicroseconds: accepted)
    let broadcast = Broadcast(
      owner: key.owner, contentHash: draft.contentHash(targets: users), record: fields.record(), recipients: users)
    try context.admission.enter(max: access.settings.limits.publishesInFlight)
    context.services.broadcast(broadcast) { result in
      context.admission.leave()
      reply(
        result.map { answer($0, eventID: eventID) }
          .mapError { PublishRealtimeEvent.outcomeUnknown($0, eventID: eventID) })
    }
  }

  private static func parts(_ data: JSONView) throws(CallError) -> (users: [String], event: JSONView) {
    var users: [String]?
    var event: JSONView?
    try data.forEachMember { (key, value) throws(CallError) in
      if key.matches("userIds") {
        users = try CallValue.users(value, "userIds", max: Limits.broadcastRecipientsMax)
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

  private static func answer(_ broadcasted: Broadcasted, eventID: String) -> [UInt8] {
    var json = JSONWriter(capacity: 160)
    json.object {
      $0.member("success", true)
      $0.member("eventId", eventID)
      $0.member("recipients", broadcasted.recipients)
      $0.member("durability", broadcasted.durability.wireName)
      $0.member("duplicate", broadcasted.duplicate)
    }
    return json.bytes
  }
}
