import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct ListConnectionsTests {
  private let name = "listConnections"

  @Test func answersAPage() async throws {
    let fixture = try await CallFixture()
    fixture.services.presenceAnswer = { _ in
      .success(
        ConnectionList(
          entries: [
            .init(
              connectionID: "conn_1", user: "ann", device: "phone", platform: .ios, connectedMilliseconds: 1,
              seenMilliseconds: 2,
              subscriptions: SessionSubscriptions(count: 40, topics: [Topic("user:ann")!, Topic("chat:c")!]))
          ], next: 0))
    }
    #expect(
      try fixture.call(name, #"{"userId":"ann"}"#)
        == #"{"connections":[{"connectionId":"conn_1","userId":"ann","deviceId":"phone","platform":"ios","#
        + #""connectedAt":1,"lastPingAt":2,"subscriptions":["user:ann","chat:c"],"subscriptionCount":40}],"#
        + #""nextCursor":null}"#)
    try fixture.call(name, #"{"userId":null,"limit":100,"cursor":"9"}"#)
    #expect(
      fixture.services.presenceRequests as? [ConnectionsQuery] == [
        ConnectionsQuery(user: "ann", after: 0, limit: 50), ConnectionsQuery(user: "", after: 9, limit: 100),
      ])
  }

  @Test func refusesWhatItCannotAsk() async throws {
    let fixture = try await CallFixture()
    #expect(fixture.refusal(name, #"{"limit":101}"#) == "limit must be an integer of 1 to 100, not 101")
    #expect(fixture.refusal(name, #"{"user":"a"}"#) == #"unknown field "user"; there are: userId, limit, cursor"#)
    let reader = APIKey(id: "r", name: "R", owner: "r", scopes: .read)
    #expect(
      fixture.refusal(name, "null", as: .server(reader))
        == "PERMISSION_DENIED: the API key \"R\" does not have the scope \"connections\"")
  }
}
