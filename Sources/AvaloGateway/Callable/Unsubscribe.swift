import AvaloCore

/// `unsubscribe`: removes topics from the session it is called on.
enum Unsubscribe: Callable {
  static let name: StaticString = "unsubscribe"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    _ = try request.user()
    guard case .session(let session) = request.carrier else {
      throw CallError(.failedPrecondition, "unsubscribe is for WebSockets: over HTTP nothing is subscribed")
    }
    var names: [String]?
    let topicsMax = context.access.current.settings.connections.namesMax
    try request.object("subscriptions").forEachMember { (key, value) throws(CallError) in
      guard key.matches("subscriptions") else { throw CallValue.unknown(key, among: "subscriptions") }
      names = try CallValue.topicNames(value, "subscriptions", max: topicsMax)
    }
    guard let names else { throw CallError(.invalidArgument, "subscriptions is missing: a list of topics") }
    session.unsubscribe(names.compactMap(Topic.init))
    reply(.success(Array(#"{"success":true}"#.utf8)))
  }
}
