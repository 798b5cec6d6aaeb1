import AvaloCore
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
      "events of type typing_indicator cannot be published: they are the engine's own to send"
    ),
  ]) func saysWhatIsWrong(data: String, message: String) async throws {
    let fixture = try await CallFixture()
    #expect(fixture.refusal(name, data) == message)
    #expect(fixture.services.broadcasts.isEmpty)
  }

  @Test func reachesAThousandUsersAndNoMore() async throws {
    let fixture = try await CallFixture()
    func users(_ count: Int) -> String { (0..<count).map { "\"user_\($0)\"" }.joined(separator: ",") }
    try fixture.call(name, #"{"userIds":[\#(users(1000))],\#(event)}"#)
    #expect(fixture.services.broadcasts[0].recipients.count == 1000)
    #expect(
      fixture.refusal(name, #"{"userIds":[\#(users(1001))],\#(event)}"#) == "userIds may name at most 1000 users")
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
