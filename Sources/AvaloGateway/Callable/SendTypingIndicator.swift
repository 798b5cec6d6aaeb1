import AvaloCore
import AvaloWire

/// `sendTypingIndicatorV1`: the caller types in a chat they are in, or has stopped. It ends by itself after five seconds.
/// Never stored, and never awaited: what the presence worker makes of it, participants see.
enum SendTypingIndicator: Callable {
  static let name: StaticString = "sendTypingIndicatorV1"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let identity = try request.user()
    try context.require(\.presence, for: identity)
    var chat: String?
    var isTyping: Bool?
    try request.object("chatId and isTyping").forEachMember { (key, value) throws(CallError) in
      if key.matches("chatId") {
        chat = try CallValue.identifier(value, "chatId")
      } else if key.matches("isTyping") {
        guard let boolean = value.boolean else { throw CallValue.refusal("isTyping", "true or false", value) }
        isTyping = boolean
      } else {
        throw CallValue.unknown(key, among: "chatId, isTyping")
      }
    }
    guard let chat else { throw CallError(.invalidArgument, "chatId is missing: the chat that is typed in") }
    guard let isTyping else { throw CallError(.invalidArgument, "isTyping is missing: true or false") }
    var typing = SetTyping(user: identity.user, chat: chat, session: 0, device: "", isTyping: isTyping)
    if case .session(let session) = request.carrier {
      typing.session = session.number
      typing.device = session.device
    }
    let access = context.access.current
    if request.isParticipant(identity, of: chat, access) { return tell(typing, context, reply) }
    let open = access.undecided(["chat:" + chat], for: identity)
    guard let webhook = access.membership, !open.isEmpty else { throw refusal(chat) }
    context.services.membership(webhook, identity.user, open) { [typing] in
      if access.isParticipant(identity, of: chat) {
        tell(typing, context, reply)
      } else {
        reply(.failure(access.undecided(["chat:" + chat], for: identity).isEmpty ? refusal(chat) : .membershipUnknown))
      }
    }
  }

  private static func tell(_ typing: SetTyping, _ context: CallContext, _ reply: @escaping CallReply) {
    context.services.typing(typing) { reply($0.map { Array(#"{"success":true}"#.utf8) }) }
  }

  private static func refusal(_ chat: String) -> CallError {
    CallError(.permissionDenied, "the user is not in the chat \(chat)")
  }
}
