import AvaloCore
import AvaloReactor

/// A hub's session as callables see it. Made for one call; when the session is gone by the time it is used, nothing happens.
final class SessionCalls: CallSession {
  private unowned let hub: Hub
  private let connection: ConnectionID
  let number: UInt64
  let connectionID: String

  init(_ hub: Hub, _ session: Session) {
    self.hub = hub
    connection = session.connection
    number = session.number
    connectionID = session.connectionID
  }

  var device: String { session?.device ?? "" }
  var topics: [Topic] { session.map { hub.admittedTopics(of: $0) } ?? [] }
  func isSubscribed(to topic: Topic) -> Bool { topics.contains(topic) }

  func subscribe(
    _ grant: AccessRules.Grant, positions: [Topic: Position], completion: @escaping RequestTable.Completion
  ) {
    guard let session else { return completion(.failure(CallError(.cancelled, "the connection has ended"))) }
    hub.subscribe(session, to: grant, positions: positions, completion: completion)
  }

  func unsubscribe(_ topics: [Topic]) {
    guard let session else { return }
    hub.unsubscribe(session, from: topics)
  }

  func charge(_ frames: UInt16) { session?.charge(frames) }

  /// Answers the call with the client's own id.
  func answer(_ id: [UInt8], _ result: Result<[UInt8], CallError>) {
    guard let session else { return }
    id.withUnsafeBytes { id in hub.send(session) { $0.answer(id: id, result) } }
  }

  private var session: Session? {
    guard let session = hub.session(of: connection), session.number == number, session.stage == .ready else {
      return nil
    }
    return session
  }
}
