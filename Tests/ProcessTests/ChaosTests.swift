import AvaloClient
import AvaloCore
import AvaloTesting
import Foundation
import Synchronization
import Testing

/// Each worker is killed under load, again and again. Nothing that was accepted may be lost, nothing may come twice on one
/// connection, and order is kept (design: promises 1, 2, 3, 4 and 6).
@Suite(.serialized) struct ChaosTests {
  /// How often each worker is killed; `make chaos` asks for more.
  static let kills = ProcessInfo.processInfo.environment["AVALO_CHAOS_KILLS"].flatMap(Int.init) ?? 10

  @Test(arguments: ["scheduler", "gateway", "presence"])
  func losesNothingWhenAWorkerIsKilled(worker: String) async throws {
    // A worker that dies so often in a row is kept waiting; here it is to come back at once, however often.
    let server = try await RunningServer.start(environment: [
      "AVALO_WORKERS__\(worker.uppercased())__RESTART__MAX": "100ms"
    ])
    let listeners = (0..<6).map { Listener(user: "user\($0)") }
    let load = Load()
    var outages: [Duration] = []
    try await withThrowingTaskGroup(of: Void.self) { group in
      for listener in listeners { group.addTask { await listener.run(server) } }
      try await waitUntil("everybody listens") { listeners.allSatisfy { $0.read.isLive } }
      for publisher in 0..<3 { group.addTask { await load.publish(publisher, server, to: listeners.map(\.user)) } }

      for _ in 0..<Self.kills {
        try await Task.sleep(for: .milliseconds(Int.random(in: 50...200)))
        outages.append(try await kill(worker, of: server))
      }
      load.stop()
      let accepted = try await load.finished(publishers: 3)
      try await waitUntil("everything accepted has arrived") {
        listeners.allSatisfy { $0.read.events.count == accepted[$0.user]?.count }
      }
      for listener in listeners { check(listener, accepted[listener.user] ?? [:]) }
      if worker != "gateway" {
        #expect(listeners.allSatisfy { $0.read.connections == 1 }, "only a gateway's death drops connections")
      }
      #expect(accepted.values.map(\.count).reduce(0, +) > Self.kills * 5, "the load was a load")
      group.cancelAll()
    }
    try await server.stop()
    let slowest = outages.max() ?? .zero
    #expect(slowest < .seconds(20), "ready again after \(slowest)")
  }

  /// The supervisor's own death takes the workers with it; the log keeps what was accepted.
  @Test func keepsWhatWasAcceptedWhenTheSupervisorIsKilled() async throws {
    let server = try await RunningServer.start()
    let backend = server.backend()
    let accepted = (0..<50).map { "evt-\($0)" }
    for id in accepted { _ = try await backend.call("publishRealtimeEvent", Load.event(id, to: "ann")) }
    let pids = try await server.process.status().workers.flatMap { $0.instances.compactMap(\.pid) }
    server.process.process.signal(SIGKILL)
    _ = try await server.process.process.ending()
    try await waitUntil("no orphan is left") { pids.allSatisfy { Foundation.kill($0, 0) != 0 } }

    let again = try await server.startAgain()
    let ann = Listener(user: "ann")
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await ann.run(again) }
      try await waitUntil("all events are there") { ann.read.events.count == accepted.count }
      group.cancelAll()
    }
    #expect((1...50).map { ann.read.events[UInt64($0)] } == accepted)
    #expect(ann.read.complaints.isEmpty)
    try await again.stop()
  }

  // MARK: - Steps

  private func check(_ listener: Listener, _ accepted: [String: UInt64]) {
    let account = listener.read
    #expect(account.complaints.isEmpty, "\(listener.user): \(account.complaints.prefix(5))")
    for (event, offset) in accepted where account.events[offset] != event {
      Issue.record("\(listener.user) has \(account.events[offset] ?? "nothing") at \(offset), not \(event)")
    }
  }

  /// Kills one worker; answers how long it took until it was ready again.
  private func kill(_ worker: String, of server: RunningServer) async throws -> Duration {
    let pid = try #require(try await server.process.pid(of: worker), "\(worker) is not there to be killed")
    let start = ContinuousClock.now
    _ = Foundation.kill(pid, SIGKILL)
    try await server.process.wait(for: "\(worker) to be ready again") { status in
      status.instances(of: worker).allSatisfy { $0.pid != nil && $0.pid != pid && $0.state == "ready" }
    }
    return ContinuousClock.now - start
  }
}

/// Publishes as a careful backend does: with an event id of its own, and again with the same id until the answer is a yes.
final class Load: Sendable {
  private struct State {
    var stopped = false
    /// Offsets by event id, by user.
    var accepted: [String: [String: UInt64]] = [:]
    var finished = 0
    var failures: [String] = []
  }
  private let state = Mutex(State())

  func stop() { state.withLock { $0.stopped = true } }

  func publish(_ publisher: Int, _ server: RunningServer, to users: [String]) async {
    let backend = server.backend()
    var number = 0
    while !state.withLock({ $0.stopped }) {
      let user = users[number % users.count]
      let id = "p\(publisher)-\(number)"
      number += 1
      await publishUntilAccepted(id, to: user, backend)
    }
    state.withLock { $0.finished += 1 }
  }

  private func publishUntilAccepted(_ id: String, to user: String, _ backend: CallableClient) async {
    while true {
      do {
        let answer = try await backend.call("publishRealtimeEvent", Load.event(id, to: user))
        let offset = answer.read { $0["offset"]?.integer }
        state.withLock { $0.accepted[user, default: [:]][id] = offset.map(UInt64.init) ?? 0 }
        return
      } catch ClientError.refused(let error) where error.code != .unavailable {
        state.withLock { $0.failures.append("\(id): \(error)") }
        return
      } catch {
        try? await Task.sleep(for: .milliseconds(10))
      }
    }
  }

  /// Waits for the publishers' last answers; what was accepted, by user.
  func finished(publishers: Int) async throws -> [String: [String: UInt64]] {
    try await waitUntil("the publishers have ended") { self.state.withLock { $0.finished } == publishers }
    #expect(state.withLock { $0.failures }.isEmpty)
    return state.withLock { $0.accepted }
  }

  static func event(_ id: String, to user: String) -> JSONText {
    JSONText { json in
      json.object {
        $0.member("eventId", id)
        $0.member("type", "notification")
        $0.member("targetUserId", user)
        $0.key("payload")
        $0.object { $0.member("text", id) }
      }
    }
  }
}

/// Looks again and again until it is so; throws when it does not become so.
func waitUntil(
  _ what: String, within time: Duration = .seconds(30), _ condition: @Sendable () async throws -> Bool
) async throws {
  let deadline = ContinuousClock.now + time
  while try await !condition() {
    guard ContinuousClock.now < deadline else { throw WaitError(what: what) }
    try await Task.sleep(for: .milliseconds(10))
  }
}

struct WaitError: Error, CustomStringConvertible {
  var what: String
  var description: String { "time is up, waiting until \(what)" }
}
