import AvaloCore
import AvaloWire

/// `getChatMembers`: a page of a chat's members, in the order of their ids. For servers with the scope `membership`.
enum GetChatMembers: Callable {
  static let name: StaticString = "getChatMembers"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    try request.server(with: .membership)
    var chat: String?
    var after = ""
    var limit = UInt32(GatewayLimits.membersPageDefault)
    try request.object("chatId").forEachMember { (key, value) throws(CallError) in
      if key.matches("chatId") {
        chat = try CallValue.identifier(value, "chatId")
      } else if key.matches("limit") {
        if !value.isNull { limit = try CallValue.limit(value, max: UInt32(Limits.membersPerCallMax)) }
      } else if key.matches("cursor") {
        if !value.isNull { after = try CallValue.identifier(value, "cursor") }
      } else {
        throw CallValue.unknown(key, among: "chatId, limit, cursor")
      }
    }
    guard let chat else { throw CallError(.invalidArgument, "chatId is missing: the id of a chat") }
    context.services.ask(ListMembers(chat: chat, after: after, limit: limit)) { result in
      reply(result.map { answer($0, chat: chat) })
    }
  }

  /// `nextCursor`, given as `cursor`, continues the list; `null` when there is no more.
  private static func answer(_ list: MemberList, chat: String) -> [UInt8] {
    var json = JSONWriter(capacity: 64 * (list.members.count + 2))
    json.object {
      $0.member("chatId", chat)
      $0.member("total", list.total)
      $0.key("members")
      $0.array {
        for member in list.members {
          $0.object {
            $0.member("userId", member.user)
            $0.member("since", member.since)
          }
        }
      }
      $0.key("nextCursor")
      if list.hasMore, let last = list.members.last { $0.string(last.user) } else { $0.null() }
    }
    return json.bytes
  }
}
