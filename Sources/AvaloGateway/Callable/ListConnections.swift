import AvaloCore
import AvaloWire

/// `listConnections`: a page of the open connections, of one user or of everybody, over all gateways. For servers with the
/// scope `connections`.
enum ListConnections: Callable {
  static let name: StaticString = "listConnections"
  private static let limitDefault: UInt32 = 50

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    try request.server(with: .connections)
    var query = ConnectionsQuery(user: "", after: 0, limit: limitDefault)
    try request.optionalObject("userId, limit and cursor")?.forEachMember { (key, value) throws(CallError) in
      if value.isNull, key.matches("userId") || key.matches("limit") || key.matches("cursor") { return }
      if key.matches("userId") {
        query.user = try CallValue.identifier(value, "userId")
      } else if key.matches("limit") {
        query.limit = try CallValue.limit(value, max: ConnectionsQuery.limitMax)
      } else if key.matches("cursor") {
        query.after = try CallValue.cursor(value)
      } else {
        throw CallValue.unknown(key, among: "userId, limit, cursor")
      }
    }
    context.services.presence(query) { reply($0.map(answer)) }
  }

  private static func answer(_ page: ConnectionList) -> [UInt8] {
    var json = JSONWriter(capacity: 64 + 384 * page.entries.count)
    json.object {
      $0.key("connections")
      $0.array { for entry in page.entries { $0.object { $0.members(entry) } } }
      $0.cursor(page.next)
    }
    return json.take()
  }
}

extension JSONWriter {
  fileprivate mutating func members(_ connection: ConnectionList.Entry) {
    member("connectionId", connection.connectionID)
    member("userId", connection.user)
    member("deviceId", connection.device)
    key("platform")
    if let platform = connection.platform.wireName { string(platform) } else { null() }
    member("connectedAt", connection.connectedMilliseconds)
    member("lastPingAt", connection.seenMilliseconds)
    key("subscriptions")
    array { for topic in connection.subscriptions.topics { $0.string(topic.name) } }
    member("subscriptionCount", connection.subscriptions.count)
  }
}
