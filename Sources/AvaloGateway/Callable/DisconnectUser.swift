import AvaloCore
import AvaloWire

/// `disconnectUser`: ends a user's connections, or one of them, on whichever gateway they are. For servers with the scope
/// `connections`.
enum DisconnectUser: Callable {
  static let name: StaticString = "disconnectUser"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    try request.server(with: .connections)
    var user: String?
    var query = Disconnect(user: "", connectionID: "", mayReturn: false)
    try request.object("userId").forEachMember { (key, value) throws(CallError) in
      if key.matches("userId") {
        user = try CallValue.identifier(value, "userId")
      } else if key.matches("connectionId") {
        if !value.isNull { query.connectionID = try CallValue.identifier(value, "connectionId") }
      } else if key.matches("reconnect") {
        guard let boolean = value.isNull ? false : value.boolean else {
          throw CallValue.refusal("reconnect", "true or false", value)
        }
        query.mayReturn = boolean
      } else {
        throw CallValue.unknown(key, among: "userId, connectionId, reconnect")
      }
    }
    guard let user else { throw CallError(.invalidArgument, "userId is missing: whose connections are to end") }
    query.user = user
    context.services.presence(query) { result in
      reply(
        result.map { answer in
          var json = JSONWriter(capacity: 48)
          json.object {
            $0.member("success", true)
            $0.member("disconnected", answer.count)
          }
          return json.take()
        })
    }
  }
}
