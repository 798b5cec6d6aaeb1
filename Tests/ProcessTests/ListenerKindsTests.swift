import AvaloClient
import AvaloCore
import AvaloTesting
import Foundation
import Synchronization
import Testing

/// Clients that listen without a WebSocket, as a browser's `EventSource` and as a poll, while workers die: nothing that was
/// accepted is lost, and nothing comes under another offset.
@Suite(.serialized) struct ListenerKindsTests {
  @Test(arguments: ["scheduler", "presence", "gateway"])
  func aStreamLosesNothingWhenAWorkerIsKilled(worker: String) async throws {
    let server = try await RunningServer.start()
    let (_, port) = try await server.process.address(of: "client", worker: "gateway")
    let url = try #require(try await subscribe(server).read { $0["eventsUrl"]?.string })
    let target = try #require(url.firstRange(of: "/events?").map { String(url[$0.lowerBound...]) })
    let source = EventSource(port: port, target: target)
    try await withThrowingTaskGroup(of: Void.self) { group in
      defer { source.stop() }
      group.addTask { await source.run() }
      try await waitUntil("the stream is open") { source.read.opened > 0 }
      let accepted = try await load(server, killing: worker)
      try await waitUntil("everything accepted has arrived") { Set(source.read.events.values) == accepted }
      #expect(source.read.complaints == [])
      if worker != "gateway" { #expect(source.read.opened == 1, "only a gateway's death ends a stream") }
    }
    try await server.stop()
  }

  @Test(arguments: ["scheduler", "presence", "gateway"])
  func aPollLosesNothingWhenAWorkerIsKilled(worker: String) async throws {
    let server = try await RunningServer.start()
    let poller = Poller(cursor: try #require(try await subscribe(server).read { $0["cursor"]?.string }))
    try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      group.addTask { await poller.run(server) }
      let accepted = try await load(server, killing: worker)
      try await waitUntil("everything accepted has arrived") { Set(poller.read.events.values) == accepted }
      #expect(poller.read.complaints == [])
    }
    try await server.stop()
  }

  private func subscribe(_ server: RunningServer) async throws -> JSONText {
    try await server.user("ann").call(
      "subscribeToRealtimeEventsV1", JSONText { json in json.object { $0.member("deviceId", "browser") } })
  }

  /// Publishes to ann while a worker is killed three times; answers the ids of what was accepted.
  private func load(_ server: RunningServer, killing worker: String) async throws -> Set<String> {
    let load = Load()
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await load.publish(0, server, to: ["ann"]) }
      for _ in 0..<3 {
        try await Task.sleep(for: .milliseconds(100))
        let pid = try #require(try await server.process.pid(of: worker))
        kill(pid, SIGKILL)
        try await server.process.wait(for: "\(worker) to be ready again") { status in
          status.instances(of: worker).allSatisfy { $0.pid != nil && $0.pid != pid && $0.state == "ready" }
        }
      }
      load.stop()
      let accepted = try await load.finished(publishers: 1)["ann"] ?? [:]
      #expect(accepted.count > 10, "the load was a load")
      return Set(accepted.keys)
    }
  }
}

/// Polls again and again with the cursor of the last answer.
private final class Poller: Sendable {
  struct Account {
    var events: [UInt64: String] = [:]
    var complaints: [String] = []
  }

  private let account = Mutex(Account())
  private let cursor: Mutex<String>

  init(cursor: String) { self.cursor = Mutex(cursor) }

  var read: Account { account.withLock { $0 } }

  /// Until the task is cancelled.
  func run(_ server: RunningServer) async {
    let client = server.user("ann")
    while !Task.isCancelled {
      let from = cursor.withLock { $0 }
      do {
        let answer = try await client.call(
          "realtimePingV1",
          JSONText { json in
            json.object {
              $0.member("deviceId", "browser")
              $0.member("cursor", from)
              $0.member("holdMs", 1_000)
            }
          })
        take(answer)
      } catch {
        // Nobody is there at the moment: that is what the test is about.
        try? await Task.sleep(for: .milliseconds(20))
      }
    }
  }

  private func take(_ answer: JSONText) {
    answer.read { view in
      account.withLock { account in
        for event in view["events"]?.elements.map({ $0 }) ?? [] {
          guard let id = event["eventId"]?.string, let offset = event["offset"]?.integer else {
            account.complaints.append("an event without id or offset")
            continue
          }
          if let before = account.events.updateValue(id, forKey: UInt64(offset)), before != id {
            account.complaints.append("\(offset) was \(before), then \(id)")
          }
        }
        if view["gaps"] != nil { account.complaints.append("a gap in a log that loses nothing") }
      }
      if let next = view["cursor"]?.string { cursor.withLock { $0 = next } }
    }
  }
}
