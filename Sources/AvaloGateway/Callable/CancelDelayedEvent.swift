import AvaloCore
import AvaloWire

/// `cancelDelayedEvent`: takes back an event that the caller published with `deliverAt` and that is not due yet. For
/// servers with the scope `publish`.
enum CancelDelayedEvent: Callable {
  static let name: StaticString = "cancelDelayedEvent"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let key = try request.server(with: .publish)
    var eventID: String?
    var topic: Topic?
    try request.object("eventId").forEachMember { (key, value) throws(CallError) in
      if key.matches("eventId") {
        eventID = try CallValue.eventID(value)
      } else if key.matches("topic") || key.matches("targetUserId") {
        guard topic == nil else {
          throw CallError(.invalidArgument, "targetUserId and topic are both there: give one of them")
        }
        topic =
          try key.matches("topic")
          ? CallValue.topic(value) : Topic.inbox(of: CallValue.identifier(value, "targetUserId"))
      } else {
        throw CallValue.unknown(key, among: "eventId, topic, targetUserId")
      }
    }
    guard let eventID else { throw CallError(.invalidArgument, "eventId is missing: which event?") }
    let cancel = CancelDelayed(owner: key.owner, eventID: eventID, topic: topic?.name ?? "")
    context.services.ask(cancel) { result in
      reply(result.map { answer($0, eventID) }.mapError { $0.leavingChangeOpen })
    }
  }

  private static func answer(_ cancelled: DelayedCancelled, _ eventID: String) -> [UInt8] {
    var json = JSONWriter(capacity: 128)
    json.object {
      $0.member("success", true)
      $0.member("eventId", eventID)
      $0.member("topic", cancelled.topic.name)
      $0.member("duplicate", cancelled.duplicate)
    }
    return json.bytes
  }
}
