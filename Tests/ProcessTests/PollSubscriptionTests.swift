import AvaloClient
import AvaloCore
import AvaloTesting
import Foundation
import Testing

/// A client that subscribes once and then polls by the name of its connection alone, at two gateways.
@Suite(.serialized) struct PollSubscriptionTests {
  /// What it subscribed to comes, in order, whichever processes were killed since, until it is a member no more. Once, but for
  /// what was answered in the second before the scheduler died (delivery.md, "Devices").
  @Test func pollsAreOfWhatTheirConnectionSubscribedTo() async throws {
    var server = try await RunningServer.start(environment: ["AVALO_WORKERS__GATEWAY__INSTANCES": "2"])
    let members = #"{"chatId":"team","userIds":["ann","bob"]}"#
    try await untilAnswered { _ = try await server.backend().call("addChatMembers", JSONText(validating: members)) }
    let data = #"{"connectionId":"cn","deviceId":"d1","platform":"web","subscriptions":["user:ann","chat:team"]}"#
    _ = try await answer(server, "subscribeToRealtimeEventsV1", data)
    var heard = Set<String>()
    // Before the first poll.
    try await publish("early", server)
    try await kill("scheduler", server)
    let early = try await poll(server, &heard, until: 2)
    #expect(early == ["ann.early", "team.early"])
    let nothing = try await poll(server, &heard, until: 0)
    #expect(nothing.isEmpty)
    for worker in ["gateway", "scheduler"] {
      try await publish("before.\(worker)", server)
      try await kill(worker, server)
      try await publish("after.\(worker)", server)
      let told = try await poll(server, &heard, until: 4)
      #expect(
        told == [
          "ann.before.\(worker)", "ann.after.\(worker)", "team.before.\(worker)", "team.after.\(worker)",
        ])
    }
    // A machine that stops and starts.
    try await publish("stopped", server)
    try await server.stop()
    server = try await server.startAgain()
    let stopped = try await poll(server, &heard, until: 2)
    #expect(stopped == ["ann.stopped", "team.stopped"])

    // Unsubscribed it tells nothing more of the chat, whatever dies; subscribed again it goes on where it was.
    _ = try await answer(server, "unsubscribe", #"{"connectionId":"cn","subscriptions":["chat:team"]}"#)
    try await kill("scheduler", server)
    try await publish("left", server)
    let left = try await poll(server, &heard, until: 1)
    #expect(left == ["ann.left"])
    _ = try await answer(server, "subscribeToRealtimeEventsV1", data)
    let back = try await poll(server, &heard, until: 1)
    #expect(back == ["team.left"])

    let removal = #"{"chatId":"team","userIds":["ann"]}"#
    try await untilAnswered { _ = try await server.backend().call("removeChatMembers", JSONText(validating: removal)) }
    try await publish("removed", server)
    let last = try await answer(server, "realtimePingV1", #"{"connectionId":"cn"}"#)
    #expect(last.contains(#""denied":[{"topic":"chat:team","code":"PERMISSION_DENIED"}]"#), "\(last)")
    #expect(last.contains(#""eventId":"ann.removed""#) && !last.contains("team.removed"), "\(last)")
    try await server.stop()
  }

  // MARK: - Steps

  /// Polls as the client does until it has so many new events, once when none are expected; their ids, by topic.
  private func poll(_ server: RunningServer, _ heard: inout Set<String>, until count: Int) async throws -> [String] {
    var ids: [String] = []
    repeat {
      let text = try await answer(
        server, "realtimePingV1", #"{"connectionId":"cn","holdMs":\#(count == 0 ? 0 : 20000)}"#)
      let told = try JSONText(validating: text).read { view in
        view["events"]?.elements.compactMap { $0["eventId"]?.string } ?? []
      }
      ids += told.filter { heard.insert($0).inserted }
    } while ids.count < count
    return ids.enumerated().sorted { (topic($0.element), $0.offset) < (topic($1.element), $1.offset) }.map(\.element)
  }

  private func topic(_ id: String) -> Substring { id.prefix { $0 != "." } }

  private func publish(_ name: String, _ server: RunningServer) async throws {
    for topic in ["chat:team", "user:ann"] {
      let target = topic == "user:ann" ? #""targetUserId":"ann""# : #""topic":"chat:team""#
      let data =
        #"{"eventId":"\#(topic == "user:ann" ? "ann" : "team").\#(name)","type":"notification",\#(target),"payload":{}}"#
      try await untilAnswered {
        _ = try await server.backend().call("publishRealtimeEvent", JSONText(validating: data))
      }
    }
  }

  /// What the user's call is answered, as soon as there is somebody who answers.
  private func answer(_ server: RunningServer, _ name: String, _ data: String) async throws -> String {
    try await untilAnswered {
      try await server.user("ann").call(name, JSONText(validating: data), timeout: .seconds(40)).description
    }
  }

  /// Kills every process of a worker, and waits until all are there again.
  private func kill(_ worker: String, _ server: RunningServer) async throws {
    var killed: [Int32] = []
    for slot in 0..<(worker == "gateway" ? 2 : 1) {
      let pid = try #require(try await server.process.pid(of: worker, slot: slot))
      killed.append(pid)
      _ = Foundation.kill(pid, SIGKILL)
    }
    try await server.process.wait(for: "\(worker) to be back") { [killed] status in
      let instances = status.instances(of: worker)
      return instances.count == killed.count
        && instances.allSatisfy { instance in instance.state == "ready" && !killed.contains { $0 == instance.pid } }
    }
  }
}
