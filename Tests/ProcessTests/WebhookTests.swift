import AvaloClient
import AvaloCore
import AvaloTesting
import Glibc
import Testing

/// The webhook through the whole product: a real backend that fails, goes away and comes back, and workers that are
/// killed.
@Suite struct WebhookTests {
  private func publish(
    _ server: RunningServer, to user: String, ttl: Int = 3600, _ ids: String...
  ) async throws {
    let backend = server.backend()
    for id in ids {
      let text =
        #"{"type":"notification","targetUserId":"\#(user)","eventId":"\#(id)","ttl":\#(ttl),"#
        + #""payload":{"n":"\#(id)"}}"#
      _ = try await backend.call("publishRealtimeEvent", try JSONText(validating: Array(text.utf8)))
    }
    await backend.close()
  }

  private func kill(_ worker: String, of server: RunningServer) async throws {
    let pid = try #require(try await server.process.pid(of: worker))
    Glibc.kill(pid, SIGKILL)
    try await server.process.wait(for: "\(worker) to be back") {
      $0.instances(of: worker).contains { $0.state == "ready" && $0.pid != pid }
    }
  }

  private func metric(_ server: RunningServer, _ series: String, _ label: String = "") async throws -> Double {
    try await server.process.metric(#"avalo_webhook_\#(series){worker="webhook",slot="0"\#(label)}"#) ?? -1
  }

  @Test func postsEverythingThroughFailuresAndKills() async throws {
    let backend = try await WebhookBackend()
    let folder = TestFolder()
    var environment = try WebhookBackend.environment(port: backend.port, in: folder)
    environment["AVALO_WORKERS__GATEWAY__SETTINGS__TOPICS__WEBHOOK__SUBSCRIBE"] = "any"
    let server = try await RunningServer.start(environment: environment)
    try await server.process.wait(for: "the webhook") {
      $0.instances(of: "webhook").contains { $0.state == "ready" }
    }
    try await waitUntil("the log is followed") {
      try await server.process.control("GET", "/workers/scheduler/followers").body.contains(#""name":"webhook""#)
    }
    let undertaker = try await server.connect("ops", device: "desk", topics: ["webhook:dead"])

    // Nobody is there yet; then somebody is.
    try await publish(server, to: "ann", "a1", "a2")
    try await waitUntil("the backend is left alone") { try await metric(server, "paused") == 1 }
    try await backend.come()
    try await waitUntil("what waited is posted") { backend.taken("user:ann") == ["a1", "a2"] }

    // A failure is tried again, and what follows in the topic waits for it.
    backend.answer("a3", with: [500])
    try await publish(server, to: "ann", "a3", "a4")
    try await waitUntil("it is tried again") { backend.taken("user:ann") == ["a1", "a2", "a3", "a4"] }
    let tries = backend.posts.filter { $0.eventID == "a3" }
    #expect(tries.map(\.status) == [500, 200] && Set(tries.map(\.id)).count == 1)

    // The last attempt's failure is the end of it, and of nothing else.
    backend.answer("a5", with: [400, 400, 400, 400])
    try await publish(server, to: "ann", "a5", "a6")
    try await waitUntil("the topic goes on") { backend.taken("user:ann").last == "a6" }
    #expect(backend.posts.filter { $0.eventID == "a5" }.map(\.status) == [400, 400, 400])
    for await frame in undertaker.frames {
      guard case .event(let letter) = frame else { continue }
      #expect(letter.topic == "webhook:dead" && letter.offset == 1 && letter.event.type == "notification")
      let payload = letter.event.payload.description
      #expect(payload.contains(#""topic":"user:ann","offset":5,"eventId":"a5","type":"notification","attempts":3"#))
      #expect(payload.contains(#""reason":"HTTP 400","payload":{"n":"a5"}"#))
      break
    }
    #expect(try await metric(server, "dead_lettered_total") == 1)

    // One that always finds the backend away ends with its time, and is told of; what follows it goes on.
    backend.answer("a7", with: [Int](repeating: 503, count: 10_000))
    try await publish(server, to: "ann", ttl: 1, "a7")
    try await publish(server, to: "ann", "a8")
    try await waitUntil("the topic goes on behind it") { backend.taken("user:ann").last == "a8" }
    #expect(try await metric(server, "dead_lettered_total") == 2)
    try await waitUntil("the backend is believed again") { try await metric(server, "paused") == 0 }

    // Killed in the middle of it: the webhook, then the log, then both with the backend away.
    backend.hold(true)
    for user in 1...20 { try await publish(server, to: "u\(user)", "k\(user)-1", "k\(user)-2") }
    try await kill("webhook", of: server)
    backend.hold(false)
    try await kill("scheduler", of: server)
    try await waitUntil("nothing is lost") {
      (1...20).allSatisfy { backend.taken("user:u\($0)") == ["k\($0)-1", "k\($0)-2"] }
    }
    await backend.leave()
    for user in 1...20 { try await publish(server, to: "u\(user)", "k\(user)-3") }
    try await kill("scheduler", of: server)
    try await kill("webhook", of: server)
    try await backend.come()
    try await waitUntil("nothing is lost of what came meanwhile") {
      (1...20).allSatisfy { backend.taken("user:u\($0)").last == "k\($0)-3" }
    }

    // Who is here needs no push.
    let bob = try await server.connect("bob", device: "phone")
    try await publish(server, to: "bob", "b1")
    try await waitUntil("bob is found online") {
      try await metric(server, "skipped_total", #",reason="online""#) == 1
    }
    bob.close()
    // The gateway may need a moment to see it; each of these is posted or not by what is known at its time.
    try await waitUntil("bob has gone") {
      try await publish(server, to: "bob", "b\(UInt32.random(in: 2 ... .max))")
      return !backend.taken("user:bob").isEmpty
    }
    #expect(!backend.taken("user:bob").contains("b1"))
    #expect(backend.complaints == [])
    try await waitUntil("everything is done") { try await metric(server, "waiting") == 0 }
    try await server.stop()
    await backend.leave()
  }
}
