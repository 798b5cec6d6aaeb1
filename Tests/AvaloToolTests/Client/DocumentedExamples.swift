import AvaloClient
import Foundation

/// The examples of the client's documentation, so that they compile. `DocumentedExamplesTests` holds the two together.
private protocol Application: Sendable {
  func token(forceRefresh: Bool) async throws -> String?
}

private func show(_ topic: String, _ payload: JSONText) async {}
private func show(_ userID: String, _ status: PresenceStatus) async {}
private func showOnline() async {}
private func showConnecting() async {}
private func showOffline(_ reason: DisconnectReason) async {}
private func showSent(_ entry: OutboxEntry) async {}
private func showFailed(_ entry: OutboxEntry, _ error: ClientError) async {}
private func showExpired(_ entry: OutboxEntry) async {}
private func retryLater(_ draft: EventDraft, _ milliseconds: Int?) async {}
private func report(_ text: String) async {}

private func connecting(
  _ serverURL: String, _ installation: String, _ userID: String, _ session: any Application
) async throws {
  let client = RealtimeClient(try ClientOptions(url: serverURL, deviceID: installation, topics: ["chat:c1"]))
  try await client.connect(
    userID: userID,
    token: .provider { forceRefresh in
      try await session.token(forceRefresh: forceRefresh)
    })
}

private func listening(_ client: RealtimeClient) async {
  await withTaskGroup(of: Void.self) { loops in
    loops.addTask {
      for await event in client.events(of: .chatMessage) {
        await show(event.topic, event.payload)
      }
    }
    loops.addTask {
      for await event in client.events(of: .notification) {
        await show(event.topic, event.payload)
      }
    }
  }
}

private func following(_ client: RealtimeClient) async {
  for await state in await client.states {
    switch state {
    case .connected: await showOnline()
    case .connecting, .reconnecting: await showConnecting()
    case .disconnected(let reason): await showOffline(reason)
    }
  }
}

private func reading(_ event: RealtimeEvent) -> String? {
  let text = event.payload.read { payload in payload["text"]?.string }
  return text
}

private func speaking(_ client: RealtimeClient, _ payload: JSONText) async throws {
  try await client.updatePresence(PresenceUpdate(status: .set(.busy), customStatus: .set("Working on Avalo 2.0")))
  try await client.sendTyping(in: "c1")
  try await client.publish(EventDraft(.chatMessage, to: .topic("chat:c1"), payload: payload))
  try await client.markChatAsRead("c1")
}

private func topics(_ client: RealtimeClient) async throws -> RealtimeClient.Subscribed {
  let granted = try await client.subscribe(to: ["chat:c2"])
  try await client.watchPresence(of: ["bob", "eve"])
  for await event in client.events(of: .presenceUpdate) {
    if let (userID, presence) = event.presence { await show(userID, presence.status) }
  }
  return granted
}

private func backend(_ endpoint: Endpoint, _ key: String, _ payload: JSONText) async throws {
  let server = RealtimeServer(endpoint, apiKey: key)
  try await server.publishRealtimeEvent(EventDraft(.notification, to: .user("ann"), payload: payload))
  try await server.broadcastToUsers(["ann", "bob"], EventDraft(.notification, to: .none, payload: payload))
}

private func finishing(_ client: RealtimeClient) async {
  var events = client.events.makeAsyncIterator()
  if let event = await events.next() {
    await show(event.topic, event.payload)
    await events.finishCurrent()
  }
}

private func cursors(_ serverURL: String, _ installation: String, _ folder: String) throws -> RealtimeClient {
  var options = try ClientOptions(url: serverURL, deviceID: installation)
  options.cursors = FileCursorStore(folder: folder)
  let client = RealtimeClient(options)
  return client
}

private func offline(_ client: RealtimeClient, _ folder: String, _ payload: JSONText) async throws -> (Outbox, String) {
  let outbox = Outbox(client, store: try FileOutboxStore(path: folder + "/outbox"))
  let eventID = try await outbox.publish(EventDraft(.chatMessage, to: .topic("chat:c1"), payload: payload))
  try await outbox.markChatAsRead("c1")
  return (outbox, eventID)
}

private func telling(_ outbox: Outbox) async {
  for await event in outbox.events {
    switch event {
    case .sent(let entry, _): await showSent(entry)
    case .failed(let entry, let error): await showFailed(entry, error)
    case .expired(let entry): await showExpired(entry)
    case .stuck(let why): await report(why)
    }
  }
}

private func written(_ text: String, _ mentions: [String]) -> JSONText {
  let payload = JSONText { json in
    json.object {
      $0.member("text", text)
      $0.member("edited", false)
      $0.key("mentions")
      $0.array { for user in mentions { $0.string(user) } }
    }
  }
  return payload
}

private func encoded(_ message: some Encodable) throws -> JSONText {
  let encoded = try JSONText(validating: JSONEncoder().encode(message))
  return encoded
}

private func ending(_ client: RealtimeClient, _ outbox: Outbox) async {
  await outbox.close()
  await client.shutdown()
}

private func failing(_ client: RealtimeClient, _ draft: EventDraft) async throws {
  do {
    try await client.publish(draft)
  } catch let error as ClientError where error.isTransient {
    await retryLater(draft, error.retryAfterMilliseconds)
  } catch ClientError.refused(let refusal) {
    await report("\(refusal.code.wireName): \(refusal.message)")
  }
}
