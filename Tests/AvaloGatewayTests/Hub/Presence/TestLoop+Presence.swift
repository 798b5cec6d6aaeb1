import AvaloCore
import AvaloReactor
import AvaloWire
import Testing

@testable import AvaloGateway

// Steps of tests in which users are watched; the presence worker and the log are the test.
extension TestLoop {
  /// Subscribes to users' presence; answers the handles of those that the loop did not watch yet.
  func watch(_ connection: ConnectionID, _ users: [String]) throws -> [UInt32] {
    let topics = users.map { "\"presence:\($0)\"" }.joined(separator: ",")
    say(connection, #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":[\#(topics)]}}"#)
    return try port.takePresence(WatchPresence.self).flatMap { $0.message.entries.map(\.handle) }
  }

  func tell(
    _ handles: [UInt32], _ version: UInt64, _ status: PresenceStatus, activity: String = "", chats: [String] = [],
    seen: Int64 = 0
  ) {
    presence {
      $0.frame(
        PresenceChanged(
          version: version, handles: handles,
          state: PresenceState(status: status, lastSeenMilliseconds: seen, activity: activity), chats: chats))
    }
  }

  /// `user status activity` of presence events, with what else matters.
  func news(_ connection: ConnectionID) -> [String] {
    take(connection).compactMap { frame in
      [UInt8](frame.utf8).withUnsafeBytes { (bytes: UnsafeRawBufferPointer) -> String? in
        guard let json = try? JSONView(validating: bytes), let event = json["event"],
          event["type"]?.string == "presence_update", let payload = event["payload"]
        else { return nil }
        let parts = [
          payload["userId"]?.string, payload["status"]?.string, payload["activity"]?.string,
          json["snapshot"]?.boolean == true ? "(snapshot)" : nil,
        ]
        return parts.compactMap { $0 }.joined(separator: " ")
      }
    }
  }

  /// Answers what was asked about memberships, until nothing is: who is not named is a member of nothing. Returns whom it
  /// was about.
  func answerMemberships(_ chats: [String: [String]]) -> [String] {
    var users: [String] = []
    while true {
      let asked = port.takeRequests { if case .ask(let query as MembershipsQuery) = $0 { query } else { nil } }
      guard !asked.isEmpty else { return users }
      for (query, id) in asked {
        users.append(query.user)
        mail(.service(id: id, .success(.answered(Memberships(chats: chats[query.user] ?? [])))))
      }
      turn()
    }
  }

  /// Subscribes to a chat that the log has the user as a member of.
  func joinAsMember(_ connection: ConnectionID, _ chat: String, at head: Position) throws {
    say(connection, #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["chat:\#(chat)"]}}"#)
    let cursors = try #require(try port.take(Cursors.self).last)
    scheduler { $0.frame(Attached(answers: [.granted(head, since: 1)]), correlation: cursors.correlation) }
  }

  /// A step of the access log: users are members no longer.
  func removed(_ chat: String, _ users: [String], position: UInt64 = 1) {
    mail(.access(AccessChanged(position: position, changes: [.removed(Topic("chat:" + chat)!, users: users)])))
    turn()
  }
}
