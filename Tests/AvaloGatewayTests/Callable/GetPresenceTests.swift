import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct GetPresenceTests {
  private let name = "getPresenceV1"

  @Test func answersEveryIDAskedFor() async throws {
    let fixture = try await CallFixture()
    fixture.services.presenceAnswer = { users in
      .success(
        users.map {
          $0 == "ann"
            ? PresenceAnswer.Entry(online: true, lastSeenMilliseconds: 1_698_620_000_000, platform: .ios)
            : PresenceAnswer.Entry(online: false, lastSeenMilliseconds: 0, platform: .unknown)
        })
    }
    for caller in [Caller.user(CallFixture.ann), .server(CallFixture.backend)] {
      #expect(
        try fixture.call(name, #"{"userIds":["zoe","ann","zoe"]}"#, as: caller)
          == #"{"presence":{"ann":{"status":"online","lastSeenAt":1698620000000,"platform":"ios","customStatus":null},"#
          + #""zoe":{"status":"offline","lastSeenAt":0,"platform":null,"customStatus":null}}}"#)
    }
    #expect(fixture.services.presenceQueries == [["ann", "zoe"], ["ann", "zoe"]])
  }

  @Test func refusesWhatItCannotAsk() async throws {
    let fixture = try await CallFixture()
    func users(_ count: Int) -> String { (0..<count).map { "\"u\($0)\"" }.joined(separator: ",") }
    try fixture.call(name, #"{"userIds":[\#(users(1000))]}"#)
    for (data, message) in [
      ("null", "data must be an object with userIds"), ("{}", "userIds is missing: a list of user ids"),
      (#"{"userIds":[]}"#, "userIds is empty"),
      (#"{"userIds":[\#(users(1001))]}"#, "userIds may name at most 1000 users"),
      (#"{"userIds":["a"],"fresh":true}"#, #"unknown field "fresh"; there are: userIds"#),
    ] {
      #expect(fixture.refusal(name, data) == message)
    }
    let publisher = APIKey(id: "p", name: "P", owner: "p", scopes: .publish)
    #expect(
      fixture.refusal(name, #"{"userIds":["a"]}"#, as: .server(publisher))
        == "PERMISSION_DENIED: the API key \"P\" does not have the scope \"read\"")
    #expect(fixture.refusal(name, #"{"userIds":["a"]}"#, as: .anonymous)?.hasPrefix("UNAUTHENTICATED") == true)
  }

  @Test func passesOnThatPresenceIsAway() async throws {
    let fixture = try await CallFixture()
    fixture.services.presenceAnswer = { _ in .failure(CallError(.unavailable, "presence is away")) }
    #expect(throws: CallError(.unavailable, "presence is away")) { try fixture.call(name, #"{"userIds":["a"]}"#) }
    fixture.services.presenceAnswer = { _ in .success([]) }
    #expect(throws: CallError(.internal, "presence answered 0 of 1 users")) {
      try fixture.call(name, #"{"userIds":["a"]}"#)
    }
  }
}
