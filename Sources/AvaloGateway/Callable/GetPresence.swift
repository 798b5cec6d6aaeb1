import AvaloCore
import AvaloWire

/// `getPresenceV1`: how are these users? Answers every id asked for, and of each what the caller may see. For users, and for
/// servers with the scope `read`, which see everything.
enum GetPresence: Callable {
  static let name: StaticString = "getPresenceV1"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let viewer = try viewer(request, context)
    var named: [String]?
    let usersMax = context.access.current.settings.limits.usersPerCall
    try request.object("userIds").forEachMember { (key, value) throws(CallError) in
      guard key.matches("userIds") else { throw CallValue.unknown(key, among: "userIds") }
      named = try CallValue.users(value, "userIds", max: usersMax)
    }
    guard let users = named else { throw CallError(.invalidArgument, "userIds is missing: a list of user ids") }
    if case .session(let session) = request.carrier {
      session.charge(UInt16(users.count / GatewayLimits.presenceUsersPerFrame))
    }
    guard let viewer else { return Gathering(users, reply).ask(("", []), context.services) }
    request.findChats(of: viewer, context) { chats in
      Gathering(users, reply).ask((viewer.user, chats), context.services)
    }
  }

  /// Who looks; nobody for a server.
  private static func viewer(_ request: CallRequest, _ context: CallContext) throws(CallError) -> Identity? {
    switch request.caller {
    case .user(let identity):
      try context.require(\.presence, for: identity)
      return identity
    case .server(let key):
      try key.require(.read)
      return nil
    case .anonymous:
      throw CallError(.unauthenticated, "a token is missing: Authorization: Bearer <token or API key>")
    }
  }

  /// The answers to one call, which is more than one question when it names many users.
  private final class Gathering {
    private let users: [String]
    private let reply: CallReply
    private var entries: [PresenceAnswer.Entry?]
    private var missing = 0
    private var error: CallError?

    init(_ users: [String], _ reply: @escaping CallReply) {
      self.users = users
      self.reply = reply
      entries = Array(repeating: nil, count: users.count)
    }

    func ask(_ viewer: (user: String, chats: [String]), _ services: any Services) {
      let starts = stride(from: 0, to: users.count, by: PresenceQuery.usersMax)
      missing = starts.underestimatedCount
      for start in starts {
        let asked = Array(users[start..<min(start + PresenceQuery.usersMax, users.count)])
        services.presence(PresenceQuery(users: asked, viewer: viewer.user, chats: viewer.chats)) { result in
          self.take(result, asked.count, at: start)
        }
      }
    }

    private func take(_ result: Result<PresenceAnswer, CallError>, _ count: Int, at start: Int) {
      switch result {
      case .failure(let error): self.error = error
      case .success(let answer):
        if answer.entries.count == count {
          for (offset, entry) in answer.entries.enumerated() { entries[start + offset] = entry }
        } else {
          error = CallError(.internal, "presence answered \(answer.entries.count) of \(count) users")
        }
      }
      missing -= 1
      guard missing == 0 else { return }
      if let error { reply(.failure(error)) } else { reply(.success(answer())) }
    }

    private func answer() -> [UInt8] {
      var json = JSONWriter(capacity: 192 * users.count)
      json.object {
        $0.key("presence")
        $0.object {
          for case (let user, let entry?) in zip(users, entries) {
            $0.key(user)
            $0.object {
              $0.members(entry.state)
              $0.key("isTypingIn")
              $0.array { for chat in entry.typingIn { $0.string(chat) } }
            }
          }
        }
      }
      return json.take()
    }
  }
}
