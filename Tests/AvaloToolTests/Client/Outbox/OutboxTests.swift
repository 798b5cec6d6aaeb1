import AvaloCore
import Testing

@testable import AvaloClient

/// The outbox of a client on a made-up clock and transport.
@Suite(.timeLimit(.minutes(1))) struct OutboxTests {
  let world = RealtimeClientTests()

  @Test func tellsWhatWasDoneOfflineInOrderAndOnce() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    link.end(1006)
    try await until { await client.state != .connected }
    let outbox = Outbox(client)
    for id in ["a", "b"] { #expect(try await outbox.publish(.message(id)) == id) }
    try await outbox.markChatAsRead("c")
    try await outbox.markChatAsRead("c")
    #expect(
      try await outbox.pending().map(\.name) == ["publishRealtimeEvent", "publishRealtimeEvent", "markChatAsReadV1"])

    let again = try await world.next(client)
    try again.ready()
    var events = outbox.events.makeAsyncIterator()
    for expected in [#""eventId":"a""#, #""eventId":"b""#, "markChatAsReadV1"] {
      let (id, text) = try await again.called()
      #expect(text.contains(expected))
      try again.say(#"{"id":\#(id),"result":{"ok":true}}"#)
      guard case .sent(let entry, let answer)? = await events.next() else { throw CancellationError() }
      #expect(entry.data.description.contains(expected) || entry.name == expected)
      #expect(answer.description == #"{"ok":true}"#)
    }
    #expect(try await outbox.pending().isEmpty)
  }

  @Test func whatTheServerWillNotHaveStopsNothing() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    let outbox = Outbox(client)
    try await outbox.publish(.message("bad"))
    try await outbox.publish(.message("good"))
    let refused = try await link.called()
    try link.say(#"{"id":\#(refused.id),"error":{"status":"PERMISSION_DENIED","message":"not yours"}}"#)
    let kept = try await link.called()
    #expect(kept.text.contains(#""eventId":"good""#))
    try link.say(#"{"id":\#(kept.id),"result":{}}"#)
    var events = outbox.events.makeAsyncIterator()
    guard case .failed(let entry, let error)? = await events.next() else { throw CancellationError() }
    #expect(entry.data.description.contains("bad"))
    #expect(error == .refused(CallError(.permissionDenied, "not yours")))
  }

  @Test func whatMaySucceedLaterIsTriedAgainBeforeWhatComesAfterIt() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    let outbox = Outbox(client)
    try await outbox.publish(.message("first"))
    let away = try await link.called()
    try await outbox.publish(.message("second"))
    try link.say(#"{"id":\#(away.id),"error":{"status":"UNAVAILABLE","message":"later"}}"#)
    // The delay begins when the refusal has come, and so does this.
    let moving = Task { [clock = world.clock] in
      while !Task.isCancelled {
        clock.advance(by: 100)
        await Task.yield()
      }
    }
    let again = try await link.called()
    moving.cancel()
    #expect(again.text.contains(#""eventId":"first""#))
  }

  @Test func whatIsTooLateIsNotTold() async throws {
    let client = try world.make()
    let link = try await world.connected(client)
    link.end(1006)
    try await until { await client.state != .connected }
    let outbox = Outbox(client)
    try await outbox.updatePresence(PresenceUpdate(status: .set(.busy)))
    try await outbox.publish(.message("still good"))
    world.clock.advance(by: 300_000)
    let again = try await world.next(client)
    try again.ready()
    var events = outbox.events.makeAsyncIterator()
    guard case .expired(let entry)? = await events.next() else { throw CancellationError() }
    #expect(entry.name == "updatePresenceV1")
    #expect(try await again.called().text.contains("still good"))
  }

  @Test func saysWhenThereIsNoRoomAndNobodyToSpeakFor() async throws {
    let nobody = Outbox(try world.make())
    await #expect(throws: ClientError.misused("client.connect(userID:token:) comes first")) {
      try await nobody.markChatAsRead("c")
    }
    let client = try world.make()
    let link = try await world.connected(client)
    link.end(1006)
    try await until { await client.state != .connected }
    let outbox = Outbox(client, entriesMax: 1)
    try await outbox.markChatAsRead("a")
    await #expect(throws: ClientError.refused(CallError(.resourceExhausted, "1 things wait for a connection already")))
    {
      try await outbox.markChatAsRead("b")
    }
  }
}
