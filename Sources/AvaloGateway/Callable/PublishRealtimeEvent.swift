import AvaloCore
import AvaloWire

/// `publishRealtimeEvent`: appends one event to a topic's log. For servers with the scope `publish`, and for users
/// where the topic kind's rule lets its members publish; then the event's source is the user, whatever it says.
enum PublishRealtimeEvent: Callable {
  static let name: StaticString = "publishRealtimeEvent"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let access = context.access.current
    switch request.caller {
    case .server(let key): try admit(key, .publish, context, access)
    case .user: break
    // This first: what is wrong with their event is nobody's business.
    case .anonymous: throw CallError(.unauthenticated, "an API key is missing: Authorization: Bearer avk_…")
    }
    let data = try request.object("type, payload, and targetUserId or topic")
    let accepted = context.wall.microseconds
    let draft = try EventDraft(
      data, now: accepted / 1000, payloadBytesMax: access.settings.limits.payloadBytesMax)
    if draft.type.retention != .durable { return try PublishedFact.tell(draft, by: request.caller, context, reply) }
    let topic = try topic(of: draft)
    let (owner, user) = try publisher(request.caller, to: topic, access.rules)

    let eventID = draft.eventID ?? context.newEventID()
    let fields = draft.fields(
      eventID: eventID, topic: topic, sourceUserID: user?.token.user, acceptedMicroseconds: accepted)
    let publish = Publish(
      owner: owner, topic: topic, contentHash: draft.contentHash(targets: [topic.name]),
      deliverAtMilliseconds: draft.deliverAt ?? 0, record: fields.record(), user: user)
    try context.admission.enter(max: access.settings.limits.publishesInFlight)
    context.services.publish(publish) { result in
      context.admission.leave()
      reply(
        result.map { answer($0, eventID: eventID, topic: topic) }
          .mapError { outcomeUnknown($0, eventID: eventID) })
    }
  }

  /// A server's right and rate.
  static func admit(
    _ key: APIKey, _ scope: APIKey.Scopes, _ context: CallContext, _ access: Access
  ) throws(CallError) {
    try key.require(scope)
    if let rate = access.settings.limits.publishesPerSecond {
      try context.admission.take(key, perSecond: rate, now: context.monotonic.now)
    }
  }

  /// UNAVAILABLE and its kin leave open whether the event was kept: say under which id to find out.
  static func outcomeUnknown(_ error: CallError, eventID: String) -> CallError {
    guard error.code.isSystemError else { return error }
    var error = error
    error.eventID = eventID
    error.message += "; it is not known whether the event was kept: try again with eventId \"\(eventID)\""
    return error
  }

  private static func topic(of draft: EventDraft) throws(CallError) -> Topic {
    switch (draft.targetUser.flatMap(Topic.inbox(of:)), draft.topicName.flatMap(Topic.init)) {
    case (let inbox?, nil): return inbox
    case (nil, let topic?):
      guard !topic.isReserved else {
        throw CallError(
          .invalidArgument,
          topic.isPresence
            ? "nothing can be published to \(topic): users' presence is their own to change"
            : "nothing can be published to \(topic): topics of kind \(topic.kind) are the engine's own")
      }
      return topic
    case (nil, nil): throw CallError(.invalidArgument, "targetUserId or topic is missing: who is the event for?")
    case (_?, _?): throw CallError(.invalidArgument, "targetUserId and topic are both there: give one of them")
    }
  }

  /// Whose event it is, and the user who is known to have caused it.
  private static func publisher(
    _ caller: Caller, to topic: Topic, _ rules: AccessRules
  ) throws(CallError) -> (owner: String, user: Publish.Publisher?) {
    switch caller {
    case .server(let key): return (key.owner, nil)
    case .user(let identity):
      let right = rules.publishing(identity, to: topic)
      guard right != .denied else { throw CallError(.permissionDenied, "users may not publish to \(topic)") }
      return ("user:" + identity.user, Publish.Publisher(identity.token, mustBeMember: right == .ifMember))
    case .anonymous: throw CallError(.unauthenticated, "nobody in particular publishes to \(topic)")
    }
  }

  private static func answer(_ published: Published, eventID: String, topic: Topic) -> [UInt8] {
    var json = JSONWriter(capacity: 192)
    json.object {
      $0.member("success", true)
      $0.member("eventId", eventID)
      $0.member("topic", topic.name)
      if published.position.epoch == .none {
        $0.member("scheduled", true)
      } else {
        $0.member("epoch", published.position.epoch.description)
        $0.member("offset", published.position.offset)
      }
      $0.member("durability", published.durability.wireName)
      $0.member("duplicate", published.duplicate)
    }
    return json.bytes
  }
}
