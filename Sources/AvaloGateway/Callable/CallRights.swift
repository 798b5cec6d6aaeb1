import AvaloCore
import AvaloWire

// Who may call what, in the same words everywhere.
extension CallRequest {
  /// The server that calls, if its key has that scope.
  @discardableResult
  func server(with scope: APIKey.Scopes) throws(CallError) -> APIKey {
    switch caller {
    case .server(let key):
      try key.require(scope)
      return key
    case .user: throw CallError(.permissionDenied, "this function is for servers: call it with an API key")
    case .anonymous: throw CallError(.unauthenticated, "an API key is missing: Authorization: Bearer avk_…")
    }
  }

  /// Whether a user is in a chat: by what is known of their rights, or since their session was let into its topic.
  func isParticipant(_ identity: Identity, of chat: String, _ access: Access) -> Bool {
    if access.isParticipant(identity, of: chat) { return true }
    guard case .session(let session) = carrier, let topic = Topic.chat(chat) else { return false }
    return session.isSubscribed(to: topic)
  }

  /// The chats that a user is known to be in: those their token names, and those their session was let into.
  func chats(of identity: Identity) -> [String] { carrier.chats(of: identity) }

  /// The same, and those that the log has the user as a member of.
  func findChats(of identity: Identity, _ context: CallContext, _ completion: @escaping ([String]) -> Void) {
    context.findChats(of: identity.user, known: { [carrier] in carrier.chats(of: identity) }, completion)
  }

  /// `data` when it is an object; nothing when it is `null`.
  func optionalObject(_ fields: String) throws(CallError) -> JSONView? {
    data.isNull ? nil : try object(fields)
  }
}

extension CallRequest.Carrier {
  /// The chats that a user is known to be in at the moment (``CallRequest/chats(of:)``).
  func chats(of identity: Identity) -> [String] {
    var chats = identity.chats.compactMap { chat in
      // A claim names a chat by its id, or as the topic it is.
      Topic.chat(chat).map { _ in chat } ?? Topic(chat).flatMap { $0.kind == "chat" ? String($0.id) : nil }
    }
    if case .session(let session) = self {
      for topic in session.topics where topic.kind == "chat" && !chats.contains(String(topic.id)) {
        chats.append(String(topic.id))
      }
    }
    return chats
  }
}

extension CallContext {
  /// The chats that are known already, and those that the log has a user as a member of. Without an answer of the log it is
  /// what is known: then less is shown, never more.
  /// - `known`: asked for again when the log has answered, since a removal may have come before its answer.
  func findChats(of user: String, known: @escaping () -> [String], _ completion: @escaping ([String]) -> Void) {
    let before = known()
    guard access.current.rules.hasMembers, before.count < Limits.presenceChatsMax else { return completion(before) }
    services.ask(MembershipsQuery(user: user, limit: UInt32(Limits.presenceChatsMax))) { [access] result in
      let known = known()
      // An answer that was read late may be from before a removal that this gateway was not waited for with.
      guard access.current.revocations.isCurrent, let found = try? result.get() else { return completion(known) }
      completion(known + found.chats.filter { !known.contains($0) })
    }
  }
}

extension APIKey {
  func require(_ scope: Scopes) throws(CallError) {
    guard !scopes.contains(scope) else { return }
    let name = Scopes.names.first { $0.scope == scope }?.name ?? "?"
    throw CallError(.permissionDenied, "the API key \"\(self.name)\" does not have the scope \"\(name)\"")
  }
}

extension CallValue {
  static func limit(_ view: JSONView, max: UInt32) throws(CallError) -> UInt32 {
    UInt32(try integer(view, "limit", in: 1...Int64(max), "an integer of 1 to \(max)"))
  }

  /// What an earlier page's answer gave.
  static func cursor(_ view: JSONView) throws(CallError) -> UInt64 {
    guard let cursor = view.string.flatMap({ UInt64($0) }) else {
      throw refusal("cursor", "nextCursor of the page before", view)
    }
    return cursor
  }
}

extension JSONWriter {
  /// `nextCursor`, `null` after the last page.
  mutating func cursor(_ next: UInt64) {
    key("nextCursor")
    if next == 0 { null() } else { string("\(next)") }
  }
}
