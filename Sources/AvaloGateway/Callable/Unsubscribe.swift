import AvaloCore
import AvaloWire

/// `unsubscribe`: removes topics, over a WebSocket from the session it is called on, over HTTP from what a connection polls
/// that names nothing but itself.
enum Unsubscribe: Callable {
  static let name: StaticString = "unsubscribe"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let identity = try request.user()
    let (topics, connectionID) = try read(request, context)
    switch request.carrier {
    case .session(let session):
      session.unsubscribe(topics)
      reply(.success(done))
    case .http:
      guard let connectionID else {
        throw CallError(
          .invalidArgument,
          "connectionId is missing: over HTTP, topics are removed from what polls of a connection are of")
      }
      context.check(connectionID, of: identity.user) { refusal in
        if let refusal { return reply(.failure(refusal)) }
        let stop = StopPolling(token: identity.token, connection: connectionID, topics: topics)
        context.services.ask(stop) { result in reply(result.map { _ in done }) }
      }
    }
  }

  private static let done = Array(#"{"success":true}"#.utf8)

  /// A name that is no topic was never granted: it is passed over, as is any that the connection does not have.
  private static func read(
    _ request: CallRequest, _ context: CallContext
  ) throws(CallError) -> (topics: [Topic], connectionID: String?) {
    var names: [String]?
    var connectionID: String?
    let topicsMax = context.access.current.settings.connections.namesMax
    try request.object("subscriptions").forEachMember { (key, value) throws(CallError) in
      if key.matches("subscriptions") {
        names = try CallValue.topicNames(value, "subscriptions", max: topicsMax)
      } else if key.matches("connectionId") {
        if !value.isNull { connectionID = try CallValue.identifier(value, "connectionId") }
      } else {
        throw CallValue.unknown(key, among: "subscriptions, connectionId")
      }
    }
    guard let names else { throw CallError(.invalidArgument, "subscriptions is missing: a list of topics") }
    return (names.compactMap(Topic.init), connectionID)
  }
}
