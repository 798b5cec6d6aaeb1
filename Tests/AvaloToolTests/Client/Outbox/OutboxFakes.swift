import AvaloCore
import Testing

@testable import AvaloClient

extension EventDraft {
  /// What a test gives an outbox: a message with that id.
  static func message(_ id: String) -> EventDraft {
    EventDraft(.chatMessage, to: .topic("chat:c"), payload: .emptyObject, eventID: id)
  }
}

extension FakeLink {
  /// The id of the call that comes next, and what it says.
  func called() async throws -> (id: String, text: String) {
    let text = try await said()
    return (String(try #require(text.firstMatch(of: /"id":(\d+),"call"/)).1), text)
  }
}
