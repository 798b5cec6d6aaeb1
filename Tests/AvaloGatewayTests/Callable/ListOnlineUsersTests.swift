import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct ListOnlineUsersTests {
  private let name = "listOnlineUsers"

  @Test func answersAPage() async throws {
    let fixture = try await CallFixture()
    fixture.services.presenceAnswer = { _ in
      .success(
        OnlineUsers(
          entries: [.init(user: "ann", state: PresenceState(status: .away, platform: .web, lastSeenMilliseconds: 5))],
          next: 8, total: 3))
    }
    #expect(
      try fixture.call(name, #"{"status":"away","limit":1,"cursor":"7"}"#)
        == #"{"users":[{"userId":"ann","status":"away","lastSeenAt":5,"platform":"web","customStatus":null,"#
        + #""lastActiveAt":0,"activity":null,"location":null}],"total":3,"nextCursor":"8"}"#)
    fixture.services.presenceAnswer = { _ in .success(OnlineUsers(entries: [], next: 0, total: 3)) }
    #expect(try fixture.call(name, "null") == #"{"users":[],"total":3,"nextCursor":null}"#)
    #expect(
      fixture.services.presenceRequests as? [OnlineUsersQuery] == [
        OnlineUsersQuery(after: 7, limit: 1, status: .away), OnlineUsersQuery(after: 0, limit: 100, status: .offline),
      ])
  }

  @Test func refusesWhatItCannotAsk() async throws {
    let fixture = try await CallFixture()
    for (data, message) in [
      (#"{"status":"offline"}"#, #"status must be one of online, away, busy, not "offline""#),
      (#"{"limit":0}"#, "limit must be an integer of 1 to 1000, not 0"),
      (#"{"cursor":5}"#, "cursor must be nextCursor of the page before, not 5"),
      (#"{"page":5}"#, #"unknown field "page"; there are: status, limit, cursor"#),
    ] {
      #expect(fixture.refusal(name, data) == message)
    }
    #expect(fixture.refusal(name, "null", as: .user(CallFixture.ann))?.hasPrefix("PERMISSION_DENIED") == true)
    #expect(fixture.refusal(name, "null", as: .anonymous)?.hasPrefix("UNAUTHENTICATED") == true)
  }
}
