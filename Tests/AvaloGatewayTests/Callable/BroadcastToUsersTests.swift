import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct BroadcastToUsersTests {
  private let name = "broadcastToUsers"
  private let event = #""event":{"eventId":"e","type":"notification","payload":{"a":1}}"#

  @Test func sendsOneEventToEachUserOnce() async throws {
    let fixture = try await CallFixture()
    let answer = try fixture.call(name, #"{"userIds":["b","a","b"],\#(event)}"#)
    #expect(answer == #"{"success":true,"eventId":"e","recipients":2,"durability":"os","duplicate":false}"#)
    let broadcast = try #require(fixture.services.broadcasts.first)
    #expect(broadcast.owner == "backend" && broadcast.recipients == ["a", "b"])
    #expect(
      try described(broadcast.record)
        == #"notification normal ttl 604800 at \#(testNow) id e from  chat  message  {"a":1}"#)
    // The order of the list is nothing that was said; who is on it, is.
    try fixture.call(name, #"{\#(event),"userIds":["a","b"]}"#)
    try fixture.call(name, #"{\#(event),"userIds":["a"]}"#)
    let hashes = fixture.services.broadcasts.map(\.contentHash)
    #expect(hashes[0] == hashes[1] && hashes[1] != hashes[2])
  }

  @Test(arguments: [
    ("{}", "userIds is missing: a list of user ids"),
    (#"{"userIds":["a"]}"#, "event is missing: an object with type and payload"),
    (#"{"userIds":[]}"#, "userIds is empty"),
    (#"{"userIds":"a"}"#, #"userIds must be a list of user ids, not "a""#),
    (#"{"userIds":["a","b c"]}"#, #"userIds[1] must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not "b c""#),
    (#"{"users":["a"]}"#, #"unknown field "users"; there are: userIds, event"#),
    (#"{"userIds":["a"],"event":[]}"#, "event must be an object, not []"),
    (
      #"{"userIds":["a"],"event":{"type":"notification","payload":{},"topic":"user:a"}}"#,
      "event must not have targetUserId or topic: userIds say who it is for"
    ),
    (
      #"{"userIds":["a"],"event":{"type":"notification","payload":{},"deliverAt":1700000001000}}"#,
      "event must not have deliverAt: a broadcast is sent at once"
    ),
    (
      #"{"userIds":["a"],"event":{"type":"typing_indicator","payload":{}}}"#,
      "typing_indicator is not kept in inboxes: publish it with publishRealtimeEvent"
    ),
  ]) func saysWhatIsWrong(data: String, message: String) async throws {
    let fixture = try await CallFixture()
    #expect(fixture.refusal(name, data) == message)
    #expect(fixture.services.broadcasts.isEmpty)
  }

  private func users(_ count: Int) -> String { (0..<count).map { "\"user_\($0)\"" }.joined(separator: ",") }

  @Test func reachesAThousandUsersInOneTransaction() async throws {
    let fixture = try await CallFixture()
    try fixture.call(name, #"{"userIds":[\#(users(1000))],\#(event)}"#)
    #expect(fixture.services.broadcasts[0].recipients.count == 1000 && fixture.services.asked.isEmpty)
  }

  /// Plays a scheduler that takes every part.
  private func taking(_ fixture: CallFixture, duplicate: Bool = false) {
    var received: UInt32 = 0
    fixture.services.answer = { request in
      if let part = request as? BroadcastPart {
        #expect(part.broadcast == 0xABC && part.first == received)
        received += UInt32(part.recipients.count)
        return .success(BroadcastPartTaken(received: received))
      }
      return .success(BroadcastBegun(broadcast: 0xABC, durability: .os, duplicate: duplicate))
    }
  }

  @Test func handsOverMoreInParts() async throws {
    let fixture = try await CallFixture()
    taking(fixture)
    let answer = try fixture.call(name, #"{"userIds":[\#(users(2500)),"user_7"],\#(event)}"#)
    #expect(
      answer
        == #"{"success":true,"eventId":"e","broadcastId":"bct_0000000000000abc","recipients":2500,"durability":"os","duplicate":false}"#
    )
    let begin = try #require(fixture.services.asked.first as? BeginBroadcast)
    #expect(begin.owner == "backend" && begin.recipients == 2500)
    let parts = fixture.services.asked.compactMap { $0 as? BroadcastPart }
    #expect(parts.map(\.recipients.count) == [1000, 1000, 500])
    #expect(parts.allSatisfy { $0.attempt == begin.attempt })
    #expect(Set(parts.flatMap(\.recipients)).count == 2500)
    #expect(fixture.services.broadcasts.isEmpty && fixture.admission.publishesInFlight == 0)
  }

  @Test func whatTheLogHasIsNotHandedOverAgain() async throws {
    let fixture = try await CallFixture()
    taking(fixture, duplicate: true)
    let answer = try fixture.call(name, #"{"userIds":[\#(users(1001))],\#(event)}"#)
    #expect(answer.hasSuffix(#""recipients":1001,"durability":"os","duplicate":true}"#))
    #expect(fixture.services.asked.count == 1)
  }

  @Test func anUploadThatBreaksOffNamesTheEvent() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { request in
      request is BeginBroadcast
        ? .success(BroadcastBegun(broadcast: 1, durability: .os, duplicate: false))
        : .failure(CallError(.unavailable, "the log is away"))
    }
    let data = #"{"userIds":[\#(users(1001))],\#(event)}"#
    let error = #expect(throws: CallError.self) { try fixture.call(name, data) }
    #expect(error?.eventID == "e" && fixture.services.asked.count == 2)
    #expect(fixture.admission.publishesInFlight == 0)
  }

  @Test func namesItsBound() async throws {
    let fixture = try await CallFixture()
    #expect(
      fixture.refusal(name, #"{"userIds":[\#(users(100_001))],\#(event)}"#)
        == "userIds may name at most 100000 users")
  }

  @Test func isForServersWithTheScope() async throws {
    let fixture = try await CallFixture()
    let publisher = APIKey(id: "p", name: "P", owner: "p", scopes: .publish)
    let data = #"{"userIds":["a"],\#(event)}"#
    #expect(
      fixture.refusal(name, data, as: .server(publisher))
        == "PERMISSION_DENIED: the API key \"P\" does not have the scope \"broadcast\"")
    #expect(
      fixture.refusal(name, data, as: .user(CallFixture.ann))
        == "PERMISSION_DENIED: this function is for servers: call it with an API key")
    #expect(
      fixture.refusal(name, data, as: .anonymous)
        == "UNAUTHENTICATED: an API key is missing: Authorization: Bearer avk_…")
    #expect(fixture.services.broadcasts.isEmpty && fixture.admission.publishesInFlight == 0)
  }

  @Test func namesTheEventWhenItsFateIsUnknown() async throws {
    let fixture = try await CallFixture()
    fixture.services.broadcastAnswer = .failure(CallError(.unavailable, "the log is away"))
    let error = #expect(throws: CallError.self) { try fixture.call(name, #"{"userIds":["a"],\#(event)}"#) }
    #expect(error?.eventID == "e")
  }
}
