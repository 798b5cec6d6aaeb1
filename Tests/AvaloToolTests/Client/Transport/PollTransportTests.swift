import AvaloCore
import Synchronization
import Testing

@testable import AvaloClient

@Suite(.timeLimit(.minutes(1))) struct PollTransportTests {
  /// Two answers, then polls are held.
  @Test func asksAgainWhenWhatCameIsProcessed() async throws {
    let polls = Mailbox<String>()
    let server = try await TestServer.start { peer, happening in
      guard case .request(let request) = happening else { return }
      if request.target == "/subscribeToRealtimeEventsV1" {
        return peer.reply(
          200,
          #"{"result":{"enabled":true,"connectionId":"c9","cursor":"user:u=0000000000000001.4","subscriptions":["user:u"],"denied":[]}}"#
        )
      }
      let body = String(decoding: request.body, as: UTF8.self)
      polls.put(body)
      guard body.contains(".4\"") else { return }
      peer.reply(
        200,
        #"{"result":{"success":true,"events":[{"eventId":"e5","type":"chat_message","payload":{},"timestamp":1,"topic":"user:u","offset":5}],"cursor":"user:u=0000000000000001.5"}}"#
      )
    }
    var options = ClientOptions(server.endpoint, deviceID: "d")
    options.transports = [PollTransport()]
    let client = RealtimeClient(options)
    try await client.connect(userID: "u", token: .fixed("t"))
    #expect(await client.transportName == "poll")
    // What there is already is told at once.
    #expect(try await polls.next().contains(#""cursor":"user:u=0000000000000001.4","holdMs":0"#))
    var events = client.events.makeAsyncIterator()
    let event = try #require(await events.next())
    #expect(event.eventID == "e5")
    // Asking for the next one says that it is processed.
    let more = Task { await client.events.first { _ in true } }
    await events.finishCurrent()
    #expect(try await polls.next().contains(#""cursor":"user:u=0000000000000001.5","holdMs":25000"#))
    more.cancel()
    await client.shutdown()
    try await server.stop()
  }

  @Test func tellsARefusalAsAStatus() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .request = happening else { return }
      peer.reply(401, #"{"error":{"status":"UNAUTHENTICATED","message":"no"}}"#)
    }
    var options = ClientOptions(server.endpoint)
    options.transports = [PollTransport()]
    let client = RealtimeClient(options)
    await #expect(throws: ClientError.disconnected(.unauthenticated)) {
      try await client.connect(userID: "u", token: .fixed("t"))
    }
    await client.shutdown()
    try await server.stop()
  }
}
