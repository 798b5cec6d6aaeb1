import AvaloCore
import Testing

@testable import AvaloClient

/// Subscribing again, and watching twice.
@Suite(.timeLimit(.minutes(1))) struct SubscriptionsTests {
  let world = RealtimeClientTests()

  /// Subscribes, is asked for by the server's end, and answers with that.
  private func subscribe(
    _ client: RealtimeClient, _ link: FakeLink, _ answer: String
  ) async throws -> RealtimeClient.Subscribed {
    async let subscribed = client.subscribe(to: ["chat:a"])
    let said = try await link.said()
    let id = try #require(said.firstMatch(of: /"id":(\d+),"call":"subscribeToRealtimeEventsV1"/)).1
    #expect(said.contains(#""subscriptions":["chat:a"]"#))
    try link.say(#"{"id":\#(id),\#(answer)}"#)
    return try await subscribed
  }

  private let granted = #""result":{"subscriptions":["chat:a"],"denied":[]}"#

  @Test func whatWasDeniedEndedOrFailedIsAskedForAgain() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    let denied = try await subscribe(
      client, link, #""result":{"subscriptions":[],"denied":[{"topic":"chat:a","code":"PERMISSION_DENIED"}]}"#)
    #expect(denied.denied.map(\.topic) == ["chat:a"])
    await #expect(throws: ClientError.self) {
      try await subscribe(client, link, #""error":{"status":"UNAVAILABLE","message":"later"}"#)
    }
    #expect(try await subscribe(client, link, granted).topics == ["chat:a"])
    // It has that now.
    #expect(try await client.subscribe(to: ["chat:a"]) == RealtimeClient.Subscribed())
    var updates = client.updates.makeAsyncIterator()
    try link.say(#"{"unsubscribed":{"topic":"chat:a","code":"PERMISSION_DENIED"}}"#)
    while let update = await updates.next() { if case .unsubscribed = update { break } }
    #expect(try await subscribe(client, link, granted).topics == ["chat:a"])
  }

  @Test func whatReadyDeniesIsNotAskedForByItselfButWhenSomebodyAsks() async throws {
    let client = try world.make { $0.topics = ["chat:a"] }
    async let connecting: Void = client.connect(userID: "u", token: .fixed("t"))
    let link = try await world.transport.openings.next()
    try link.say(
      #"{"ready":{"connectionId":"c1","userId":"u","deviceId":"d","subscriptions":["user:u"],"#
        + #""denied":[{"topic":"chat:a","code":"PERMISSION_DENIED"}],"pingInterval":25000,"serverTime":1}}"#)
    try await connecting
    #expect(try await subscribe(client, link, granted).topics == ["chat:a"])
  }

  @Test func whoeverWatchesAsTheSecondIsToldHowTheUserIs() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    async let watching: Void = client.watchPresence(of: ["b"])
    #expect(try await link.said().contains(#""subscriptions":["presence:b"]"#))
    try link.say(#"{"id":1,"result":{"subscriptions":["presence:b"],"denied":[]}}"#)
    try await watching
    try link.say(
      #"{"event":{"eventId":"p3","type":"presence_update","sourceUserId":"b","payload":{"userId":"b","status":"busy"},"#
        + #""timestamp":1},"topic":"presence:b","version":3}"#)
    var presence = client.events(of: .presenceUpdate).makeAsyncIterator()
    #expect(await presence.next()?.version == 3)
    try await client.watchPresence(of: ["b"])
    let told = try #require(await presence.next())
    #expect(told.version == 3 && told.isSnapshot)
  }
}
