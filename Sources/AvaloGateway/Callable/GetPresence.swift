import AvaloCore

/// `getPresenceV1`: who of these users is here? Answers every id asked for. For users, and for servers with the scope
/// `read`.
enum GetPresence: Callable {
  static let name: StaticString = "getPresenceV1"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    switch request.caller {
    case .user(let identity): try context.require(\.presence, for: identity)
    case .server(let key):
      guard key.scopes.contains(.read) else {
        throw CallError(.permissionDenied, "the API key \"\(key.name)\" does not have the scope \"read\"")
      }
    case .anonymous:
      throw CallError(.unauthenticated, "a token is missing: Authorization: Bearer <token or API key>")
    }
    var named: [String]?
    try request.object("userIds").forEachMember { (key, value) throws(CallError) in
      guard key.matches("userIds") else { throw CallValue.unknown(key, among: "userIds") }
      named = try CallValue.users(value, "userIds", max: GatewayLimits.presenceUsersMax)
    }
    guard let users = named else { throw CallError(.invalidArgument, "userIds is missing: a list of user ids") }
    context.services.presence(users) { result in
      reply(
        result.flatMap { entries in
          guard entries.count == users.count else {
            return .failure(CallError(.internal, "presence answered \(entries.count) of \(users.count) users"))
          }
          var json = JSONWriter(capacity: 128 * users.count)
          json.object {
            $0.key("presence")
            $0.object {
              for (user, entry) in zip(users, entries) {
                $0.key(user)
                $0.object {
                  $0.member("status", entry.online ? "online" : "offline")
                  $0.member("lastSeenAt", entry.lastSeenMilliseconds)
                  $0.key("platform")
                  if let platform = entry.platform.wireName { $0.string(platform) } else { $0.null() }
                  $0.key("customStatus")
                  $0.null()
                }
              }
            }
          }
          return .success(json.take())
        })
    }
  }
}
