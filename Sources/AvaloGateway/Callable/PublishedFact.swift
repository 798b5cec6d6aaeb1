import AvaloCore
import AvaloWire

/// What a server says of a user that is no event of a log: that they are typing, and how they are. It goes to the presence
/// worker as if the user had said it over HTTP; nothing of it is kept in a topic. Only the owner writes: a backend whose API
/// key may publish speaks for its own users, as with everything it publishes in their names; a user speaks for nobody else.
enum PublishedFact {
  static func tell(
    _ draft: EventDraft, by caller: Caller, _ context: CallContext, _ reply: @escaping CallReply
  ) throws(CallError) {
    guard case .server = caller else {
      throw CallError(
        .permissionDenied,
        "users say that they are typing with sendTypingIndicatorV1, and how they are with updatePresenceV1")
    }
    guard draft.deliverAt == nil else {
      throw CallError(.invalidArgument, "deliverAt is for events that are kept, not for \(draft.type.wireName)")
    }
    let user = try user(of: draft)
    let eventID = draft.eventID ?? context.newEventID()
    if draft.type == .typingIndicator {
      let typing = try typing(draft, user)
      context.services.typing(typing) { result in
        reply(result.map { answer("chat:" + typing.chat, eventID) })
      }
    } else {
      let update = try UpdatePresence.update(of: user, draft.payload, besides: "userId", context)
      UpdatePresence.put({ [] }, into: update, context) {
        context.services.presence($0) { result in
          reply(result.map { _ in answer("presence:" + user, eventID) })
        }
      }
    }
  }

  /// Of whom it is said.
  private static func user(of draft: EventDraft) throws(CallError) -> String {
    if let source = draft.sourceUserID { return source }
    if let value = draft.payload["userId"], !value.isNull { return try CallValue.identifier(value, "payload.userId") }
    if draft.type == .presenceUpdate {
      if let target = draft.targetUser { return target }
      if let topic = draft.topicName.flatMap(Topic.init), topic.isPresence { return String(topic.id) }
    }
    throw CallError(.invalidArgument, "sourceUserId is missing: which user is it about?")
  }

  private static func typing(_ draft: EventDraft, _ user: String) throws(CallError) -> SetTyping {
    let topic = draft.topicName.flatMap(Topic.init)
    guard let chat = try draft.chat ?? topic?.chatID else {
      throw CallError(.invalidArgument, "chatId is missing: the chat that is typed in")
    }
    if let topic, topic.chatID != chat {
      throw CallError(.invalidArgument, "topic is \(topic), and the chat that is typed in \(chat)")
    }
    var isTyping = true
    if let value = draft.payload["isTyping"] {
      guard let boolean = value.boolean else { throw CallValue.refusal("payload.isTyping", "true or false", value) }
      isTyping = boolean
    }
    return SetTyping(user: user, chat: chat, session: 0, device: "", isTyping: isTyping)
  }

  private static func answer(_ topic: String, _ eventID: String) -> [UInt8] {
    var json = JSONWriter(capacity: 128)
    json.object {
      $0.member("success", true)
      $0.member("eventId", eventID)
      $0.member("topic", topic)
      $0.member("durability", "none")
      $0.member("duplicate", false)
    }
    return json.bytes
  }
}
