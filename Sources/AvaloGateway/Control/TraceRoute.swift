import AvaloCore
import AvaloReactor
import AvaloSystem

/// `GET /trace?topic=T` or `?user=U` (or both): the live connections of this gateway that are subscribed, where each
/// stands, and what its journal knows of them; with `&journal=all`, what the files of all instances do. Described in docs/protocol/control.md.
struct TraceRoute: Sendable {
  let instance: String
  let hubs: [Mailbox<HubMail>]
  /// `nil` when no notes are made.
  let journal: DeliveryJournal?

  func add(to routes: HTTPRoutes) {
    routes.add("GET", "/trace") { await answer($0) }
  }

  private func answer(_ request: HTTPRequest) async -> HTTPResponse {
    let topic = request.parameter("topic").map { Topic($0) }
    let user = request.parameter("user")
    guard topic != .some(nil), user.map({ Topic.isWellFormedID($0.utf8) }) ?? true, topic != nil || user != nil else {
      return .text("ask like this: /trace?topic=user:ann, or /trace?user=ann", status: 400)
    }
    let query = TraceQuery(topic: topic ?? nil, user: user)
    var connections: [TracedConnection] = []
    for hub in hubs {
      connections += await withCheckedContinuation { continuation in
        hub.post(.trace(query) { continuation.resume(returning: $0) })
      }
    }
    // As they stand in a line: what is between quotes there can be nothing else.
    var texts = user.map { [#""user":"\#($0)""#] } ?? []
    if user == nil, let name = query.topic?.name { texts = [#""\#(name)""#] }
    let lines =
      request.parameter("journal") == "all"
      ? await journal?.linesOfAll(with: texts, limit: GatewayLimits.journalLinesMax)
      : await journal?.lines(with: texts, limit: GatewayLimits.journalLinesMax)
    return .json(document(connections, lines ?? []))
  }

  private func document(_ connections: [TracedConnection], _ lines: [[UInt8]]) -> [UInt8] {
    var json = JSONWriter(capacity: 1024)
    json.object {
      $0.member("instance", instance)
      $0.key("connections")
      $0.array {
        for connection in connections {
          $0.object {
            $0.member("connection", connection.connectionID)
            $0.member("user", connection.user)
            $0.member("device", connection.device)
            $0.member("platform", connection.platform.wireName ?? "unknown")
            $0.member("opened", connection.opened)
            $0.member("topic", connection.topic)
            $0.member("state", connection.state.rawValue)
            if let through = connection.through { $0.member("through", through) }
            $0.member("backlog", connection.backlog)
          }
        }
      }
      $0.key("journal")
      $0.array { for line in lines { $0.raw(line) } }
    }
    return json.take()
  }
}
