import AvaloCore
import AvaloWire

/// `eraseUser`: forgets a user. Their connections are cut and their tokens revoked; their inbox, what is held for it,
/// devices, cursors, memberships and presence are gone when it is answered. Events they caused in other topics stay until they
/// expire. For servers with the scopes `membership` and `connections`; calling again does no harm.
enum EraseUser: Callable {
  static let name: StaticString = "eraseUser"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    try request.server(with: .membership)
    try request.server(with: .connections)
    var user: String?
    try request.object("userId").forEachMember { (key, value) throws(CallError) in
      guard key.matches("userId") else { throw CallValue.unknown(key, among: "userId") }
      user = try CallValue.identifier(value, "userId")
    }
    guard let user else { throw CallError(.invalidArgument, "userId is missing: the id of a user") }
    let now = context.wall.milliseconds
    let erase = Erase(
      user: user, issuedBeforeMilliseconds: now,
      untilMilliseconds: now
        + (context.access.current.settings.auth.lifetimeMax + GatewayLimits.revocationMargin).milliseconds)
    context.services.ask(erase) { result in
      switch result {
      case .failure(let error): reply(.failure(error.leavingChangeOpen))
      // Their connections are cut by now, and say nothing more of them.
      case .success(let erased): erasePresence(of: user, erased, context, reply)
      }
    }
  }

  private static func erasePresence(
    of user: String, _ erased: Erased, _ context: CallContext, _ reply: @escaping CallReply
  ) {
    context.services.presence(ErasePresence(user: user)) { result in
      reply(result.map { _ in answer(erased, user: user) }.mapError { $0.leavingChangeOpen })
    }
  }

  private static func answer(_ erased: Erased, user: String) -> [UInt8] {
    var json = JSONWriter(capacity: 128)
    json.object {
      $0.member("success", true)
      $0.member("userId", user)
      $0.member("events", erased.events)
      $0.member("devices", erased.devices)
      $0.member("memberships", erased.memberships)
    }
    return json.bytes
  }
}
