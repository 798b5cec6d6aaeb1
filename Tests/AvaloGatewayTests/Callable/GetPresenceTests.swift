import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct GetPresenceTests {
  private let name = "getPresenceV1"

  @Test func answersEveryIDAskedFor() async throws {
    let fixture = try await CallFixture()
    let seen = PresenceState(
      status: .busy, platform: .ios, lastSeenMilliseconds: 1_698_620_000_000, lastActiveMilliseconds: 1_698_610_000_000,
      customStatus: "Working on \"2.0\"", activity: "writing",
      location: CoarseLocation(place: "Łódź", spot: CoarseLocation.Spot(latitude: 51.7731, longitude: -19.4499)))
    fixture.services.presenceAnswer = { request in
      guard let query = request as? PresenceQuery else { return .failure(CallError(.internal, "\(request)")) }
      return .success(
        PresenceAnswer(
          entries: query.users.map {
            $0 == "ann"
              ? PresenceAnswer.Entry(state: seen, typingIn: ["c1"]) : PresenceAnswer.Entry(state: PresenceState())
          }))
    }
    for caller in [Caller.user(CallFixture.ann), .server(CallFixture.backend)] {
      #expect(
        try fixture.call(name, #"{"userIds":["zoe","ann","zoe"]}"#, as: caller)
          == #"{"presence":{"ann":{"status":"busy","lastSeenAt":1698620000000,"platform":"ios","#
          + #""customStatus":"Working on \"2.0\"","lastActiveAt":1698610000000,"activity":"writing","#
          + #""location":{"place":"Łódź","latitude":51.8,"longitude":-19.4},"isTypingIn":["c1"]},"#
          + #""zoe":{"status":"offline","lastSeenAt":0,"platform":null,"customStatus":null,"lastActiveAt":0,"#
          + #""activity":null,"location":null,"isTypingIn":[]}}}"#)
    }
    #expect(
      fixture.services.presenceRequests as? [PresenceQuery] == [
        PresenceQuery(users: ["ann", "zoe"], viewer: "ann", chats: ["c1"]), PresenceQuery(users: ["ann", "zoe"]),
      ])
  }

  /// The chats of who looks decide what they see: those of the token, and those the session was let into.
  @Test func saysWhichChatsTheViewerIsIn() async throws {
    let fixture = try await CallFixture()
    let session = FakeSession()
    session.topics = [Topic("chat:c1")!, Topic("chat:c9")!, Topic("user:ann")!]
    var ann = CallFixture.ann
    ann.chats = ["c1", "chat:c2", "feed:news"]
    try fixture.call(name, #"{"userIds":["zoe"]}"#, as: .user(ann), carrier: .session(session))
    let query = try #require(fixture.services.presenceRequests.first as? PresenceQuery)
    #expect(query.chats == ["c1", "c2", "c9"])
  }

  /// Beside what is known here the log is asked, whatever carries the call. Without its answer less is shown.
  @Test func theLogSaysWhichChatsTheViewerIsIn() async throws {
    let fixture = try await CallFixture()
    let session = FakeSession()
    session.topics = [Topic("chat:c9")!]
    fixture.services.answer = { _ in .success(Memberships(chats: ["c7", "c1"])) }
    try fixture.call(name, #"{"userIds":["zoe"]}"#, as: .user(CallFixture.ann))
    try fixture.call(name, #"{"userIds":["zoe"]}"#, as: .user(CallFixture.ann), carrier: .session(session))
    #expect(fixture.services.asked.compactMap { ($0 as? MembershipsQuery)?.user } == ["ann", "ann"])
    fixture.services.answer = { _ in .failure(CallError(.unavailable, "the log is away")) }
    try fixture.call(name, #"{"userIds":["zoe"]}"#, as: .user(CallFixture.ann))
    let queries = fixture.services.presenceRequests.compactMap { $0 as? PresenceQuery }
    #expect(queries.map(\.chats) == [["c1", "c7"], ["c1", "c9", "c7"], ["c1"]])
    // A server sees everything, and nobody is asked.
    try fixture.call(name, #"{"userIds":["zoe"]}"#)
    #expect(fixture.services.asked.count == 3)
  }

  @Test func asksForManyInPartsAndAnswersThemAsOne() async throws {
    let fixture = try await CallFixture()
    let ids = (0..<1000).map { "u\($0)" }
    let answer = try fixture.call(name, #"{"userIds":[\#(ids.map { "\"\($0)\"" }.joined(separator: ","))]}"#)
    let asked = try #require(fixture.services.presenceRequests as? [PresenceQuery])
    #expect(asked.map(\.users.count) == [256, 256, 256, 232])
    #expect(asked.flatMap(\.users) == ids.sorted())
    for id in ids { #expect(answer.contains(#""\#(id)":{"status""#)) }
  }

  /// The allowance of a connection is spent by what its calls name.
  @Test func aCallCostsWhatItNames() async throws {
    let fixture = try await CallFixture()
    let session = FakeSession()
    for count in [1, 99, 1000] {
      let ids = (0..<count).map { "\"u\($0)\"" }.joined(separator: ",")
      try fixture.call(name, #"{"userIds":[\#(ids)]}"#, carrier: .session(session))
    }
    #expect(session.charged == 10)
  }

  @Test func refusesWhatItCannotAsk() async throws {
    let fixture = try await CallFixture()
    func users(_ count: Int) -> String { (0..<count).map { "\"u\($0)\"" }.joined(separator: ",") }
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
    #expect(fixture.services.presenceRequests.isEmpty)
  }

  @Test func passesOnThatPresenceIsAway() async throws {
    let fixture = try await CallFixture()
    fixture.services.presenceAnswer = { _ in .failure(CallError(.unavailable, "presence is away")) }
    #expect(throws: CallError(.unavailable, "presence is away")) { try fixture.call(name, #"{"userIds":["a"]}"#) }
    fixture.services.presenceAnswer = { _ in .success(PresenceAnswer(entries: [])) }
    #expect(throws: CallError(.internal, "presence answered 0 of 1 users")) {
      try fixture.call(name, #"{"userIds":["a"]}"#)
    }
  }
}
