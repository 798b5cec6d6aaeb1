import AvaloCore
import AvaloWire

/// What the three functions that change a chat's members share: fields, answer, and what an unknown outcome means.
enum ChatMembers {
  static let fields = "chatId, userIds"

  static func call(
    _ change: ChangeMembers.Change, _ request: CallRequest, _ context: CallContext, reply: @escaping CallReply
  ) throws(CallError) {
    try request.server(with: .membership)
    var chat: String?
    var users: [String]?
    let usersMax = context.access.current.settings.limits.usersPerCall
    try request.object("chatId and userIds").forEachMember { (key, value) throws(CallError) in
      if key.matches("chatId") {
        chat = try CallValue.identifier(value, "chatId")
      } else if key.matches("userIds") {
        let isEmptied = change == .set && value.kind == .array && value.count == 0
        users = isEmptied ? [] : try CallValue.users(value, "userIds", max: usersMax)
      } else {
        throw CallValue.unknown(key, among: fields)
      }
    }
    guard let chat else { throw CallError(.invalidArgument, "chatId is missing: the id of a chat") }
    guard let users else { throw CallError(.invalidArgument, "userIds is missing: a list of user ids") }
    context.services.ask(ChangeMembers(chat: chat, change: change, users: users)) { result in
      reply(result.map { answer($0, chat: chat) }.mapError { $0.leavingChangeOpen })
    }
  }

  private static func answer(_ changed: MembersChanged, chat: String) -> [UInt8] {
    var json = JSONWriter(capacity: 128)
    json.object {
      $0.member("success", true)
      $0.member("chatId", chat)
      $0.member("added", changed.added)
      $0.member("removed", changed.removed)
      $0.member("members", changed.members)
    }
    return json.bytes
  }
}

extension CallError {
  /// Of a change that may have been made: UNAVAILABLE and its kin do not say.
  var leavingChangeOpen: CallError {
    guard code.isSystemError else { return self }
    var error = self
    error.message += "; it is not known whether the change was made: call again, that does no harm"
    return error
  }
}
