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
    findMembership(identity, chat, access, context) { [typing] result in
      switch result {
      case .success: tell(typing, context, reply)
      case .failure(let error): reply(.failure(error))
      }
    }
  }

  /// Asks the log, and then the webhook, each where the chat's rule says so.
  private static func findMembership(
    _ identity: Identity, _ chat: String, _ access: Access, _ context: CallContext,
    completion: @escaping (Result<Void, CallError>) -> Void
  ) {
    guard let topic = Topic.chat(chat), access.rules.subscribing(identity, to: topic) == .ifMember else {
      return askWebhook(identity, chat, access, context, completion: completion)
    }
    context.services.ask(MembershipQuery(entries: [.init(chat: chat, user: identity.user)])) { result in
      switch result {
      case .success(let answer) where answer.since.first != 0: completion(.success(()))
      case .success: askWebhook(identity, chat, access, context, completion: completion)
      case .failure(let error): completion(.failure(error))
      }
    }
  }

  private static func askWebhook(
    _ identity: Identity, _ chat: String, _ access: Access, _ context: CallContext,
    completion: @escaping (Result<Void, CallError>) -> Void
  ) {
    let open = access.undecided(["chat:" + chat], for: identity)
    guard let webhook = access.membership, !open.isEmpty else { return completion(.failure(refusal(chat))) }
    context.services.membership(webhook, identity.user, open) {
      if access.isParticipant(identity, of: chat) { return completion(.success(())) }
      let isOpen = !access.undecided(["chat:" + chat], for: identity).isEmpty
      completion(.failure(isOpen ? .membershipUnknown : refusal(chat)))
    }
  }

  private static func tell(_ typing: SetTyping, _ context: CallContext, _ reply: @escaping CallReply) {
    context.services.typing(typing) { reply($0.map { Array(#"{"success":true}"#.utf8) }) }
  }

  private static func refusal(_ chat: String) -> CallError {
    CallError(.permissionDenied, "the user is not in the chat \(chat)")
  }
}
