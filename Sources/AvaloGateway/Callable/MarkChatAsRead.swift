import AvaloCore
import AvaloWire

/// `markChatAsReadV1`: the caller has read all of a chat. Answers how many messages that newly covers.
enum MarkChatAsRead: Callable {
  static let name: StaticString = "markChatAsReadV1"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let identity = try request.user()
    var chat: String?
    var name = ""
    try request.object("chatId").forEachMember { (key, value) throws(CallError) in
      if key.matches("chatId") {
        chat = try CallValue.identifier(value, "chatId")
      } else if key.matches("requestId") {
        name = try CallValue.identifier(value, "requestId")
      } else {
        throw CallValue.unknown(key, among: "chatId, requestId")
      }
    }
    guard let chat else { throw CallError(.invalidArgument, "chatId is missing: which chat was read?") }
    mark(
      MarkRead(user: identity.user, chat: chat, isParticipant: context.isIn(chat, identity), request: name), context,
      reply)
  }

  /// Moves the marker, and answers `{"success", "markedCount", "readAt", "readAtMs"}`.
  static func mark(_ mark: MarkRead, _ context: CallContext, _ reply: @escaping CallReply) {
    context.services.ask(mark) { result in
      reply(
        result.map { marked in
          var json = JSONWriter(capacity: 128)
          json.object {
            $0.member("success", true)
            $0.member("markedCount", marked.count)
            $0.key("readAt")
            if marked.readMilliseconds == 0 { $0.null() } else { $0.timestamp(marked.readMilliseconds) }
            $0.member("readAtMs", marked.readMilliseconds)
          }
          return json.take()
        })
    }
  }
}

extension CallContext {
  /// Whether the user may subscribe to the chat's topic, as far as that is known here at once: who is a member, the
  /// scheduler knows.
  func isIn(_ chat: String, _ identity: Identity) -> Bool {
    let grant = access.current.grant(["chat:" + chat], to: identity)
    return !grant.granted.isEmpty && grant.ifMember.isEmpty
  }
}

extension JSONWriter {
  /// As Firestore's SDKs show a Timestamp.
  fileprivate mutating func timestamp(_ milliseconds: Int64) {
    object {
      $0.member("_seconds", milliseconds / 1000)
      $0.member("_nanoseconds", milliseconds % 1000 * 1_000_000)
    }
  }
}
