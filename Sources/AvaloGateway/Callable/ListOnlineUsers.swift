import AvaloCore
import AvaloWire

/// `listOnlineUsers`: a page of the users who are not offline. For servers with the scope `read`.
enum ListOnlineUsers: Callable {
  static let name: StaticString = "listOnlineUsers"
  private static let limitDefault: UInt32 = 100

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    try request.server(with: .read)
    var query = OnlineUsersQuery(after: 0, limit: limitDefault, status: .offline)
    try request.optionalObject("status, limit and cursor")?.forEachMember { (key, value) throws(CallError) in
      if value.isNull, key.matches("status") || key.matches("limit") || key.matches("cursor") { return }
      if key.matches("status") {
        guard let status = value.string.flatMap(PresenceStatus.init(wireName:)), status != .offline else {
          throw CallValue.refusal("status", "one of online, away, busy", value)
        }
        query.status = status
      } else if key.matches("limit") {
        query.limit = try CallValue.limit(value, max: OnlineUsersQuery.limitMax)
      } else if key.matches("cursor") {
        query.after = try CallValue.cursor(value)
      } else {
        throw CallValue.unknown(key, among: "status, limit, cursor")
      }
    }
    context.services.presence(query) { reply($0.map(answer)) }
  }

  private static func answer(_ page: OnlineUsers) -> [UInt8] {
    var json = JSONWriter(capacity: 64 + 192 * page.entries.count)
    json.object {
      $0.key("users")
      $0.array {
        for entry in page.entries {
          $0.object {
            $0.member("userId", entry.user)
            $0.members(entry.state)
          }
        }
      }
      $0.member("total", page.total)
      $0.cursor(page.next)
    }
    return json.take()
  }
}
