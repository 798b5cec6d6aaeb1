import AvaloClient
import AvaloCore
import AvaloTesting
import Foundation
import Testing

/// A broadcast in the background, and what is held for later, through the whole product and over the deaths of the worker
/// that has them.
@Suite(.serialized) struct BroadcastTests {
  /// Their ids make a body that is larger than other calls may have.
  private let users = (0..<5000).map { "recipient-\($0)-" + String(repeating: "x", count: 48) }

  private func broadcast(_ server: RunningServer) async throws -> JSONText {
    let list = users.map { "\"\($0)\"" }.joined(separator: ",")
    return try await server.backend().call(
      "broadcastToUsers",
      try JSONText(
        validating: #"{"userIds":[\#(list)],"event":{"eventId":"news","type":"notification","payload":{"n":1}}}"#))
  }

  /// Asks until there is an answer to be had: between two lives of the scheduler there is none.
  private func ask(
    _ server: RunningServer, _ name: String, _ data: String, until isWanted: (JSONText) -> Bool = { _ in true }
  ) async throws -> JSONText {
    let data = try JSONText(validating: data)
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      if let answer = try? await server.backend().call(name, data), isWanted(answer) { return answer }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw WaitError(what: "\(name) is answered")
  }

  private func kill(_ server: RunningServer) async throws {
    let pid = try #require(try await server.process.pid(of: "scheduler"))
    _ = Foundation.kill(pid, SIGKILL)
    try await server.process.wait(for: "another scheduler") { status in
      status.instances(of: "scheduler").allSatisfy { $0.pid != nil && $0.pid != pid && $0.state == "ready" }
    }
  }

  private func cancel(_ server: RunningServer) async throws -> String {
    try await ask(server, "cancelDelayedEvent", #"{"eventId":"later"}"#).description
  }

  private func takesAHeldEventBack(_ server: RunningServer) async throws {
    let due = server.nowSeconds * 1000 + 3_600_000
    let event = #"{"eventId":"later","type":"notification","targetUserId":"ann","payload":{},"deliverAt":\#(due)}"#
    let held = try await server.backend().call("publishRealtimeEvent", try JSONText(validating: event))
    #expect(held.description.contains(#""scheduled":true"#))
    try await kill(server)
    #expect(
      try await cancel(server).hasPrefix(#"{"success":true,"eventId":"later","topic":"user:ann","duplicate":"#))
    try await kill(server)
    #expect(try await cancel(server).hasSuffix(#""duplicate":true}"#))
  }

  @Test func whatTheSchedulerPromisedOutlivesIt() async throws {
    let server = try await RunningServer.start()
    let last = Listener(user: users[4999])
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await last.run(server) }
      try await waitUntil("somebody listens") { last.read.isLive }
      let answer = try await broadcast(server)
      let id = try #require(answer.read { $0["broadcastId"]?.string })
      for _ in 0..<3 { try await kill(server) }
      let finished = try await ask(server, "getBroadcast", #"{"broadcastId":"\#(id)"}"#) {
        $0.read { $0["state"]?.string } == "finished"
      }
      #expect(finished.read { $0["done"]?.integer } == 5000 && finished.read { $0["failed"]?.integer } == 0)
      try await waitUntil("it has arrived") { last.read.events.count == 1 }
      // The same call again changes nothing.
      let again = try await broadcast(server)
      #expect(again.read { $0["duplicate"]?.boolean } == true && again.read { $0["broadcastId"]?.string } == id)
      group.cancelAll()
    }
    for user in users.enumerated() where user.offset % 97 == 0 {
      let topic = try await server.process.control("GET", "/workers/scheduler/topics?name=user:\(user.element)")
      #expect(topic.body.contains(#""head":1,"#), "\(topic.body)")
    }
    #expect(last.read.events == [1: "news"] && last.read.complaints.isEmpty)
    try await takesAHeldEventBack(server)
    try await server.stop()
  }
}
