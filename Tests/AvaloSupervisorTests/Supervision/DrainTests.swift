import AvaloTesting
import Foundation
import Testing

@testable import AvaloSupervisor

/// The end: in order, within deadlines, by force where it must be.
@Suite(.serialized) struct DrainTests: ScriptWorkers {
  let folder = TestFolder()

  @Test func drainsInOrderAndKillsWhatDoesNotEnd() async throws {
    let slow = """
      trap 'notify STOPPING=1; sleep 0.3; echo "$AVALO_WORKER.$AVALO_SLOT drained"; exit 0' TERM
      notify READY=1
      while :; do sleep 1000 & wait $!; done
      """
    let stubborn = "trap '' TERM; notify READY=1; while :; do sleep 1000; done"
    let server = try await start([
      "workers.d/c-first.yaml": try manifest("c-first", slow, "instances: 2\ndrain: {order: 1, deadline: 20s}"),
      "workers.d/b-second.yaml": try manifest("b-second", stubborn, "drain: {order: 2, deadline: 300ms}"),
      "workers.d/a-last.yaml": try manifest("a-last", slow, "drain: {order: 3, deadline: 20s}"),
    ])
    server.process.signal(SIGTERM)
    #expect(try await server.process.ending() == .exit(0))
    let log = server.process.output
    func place(_ text: String) throws -> String.Index {
      try #require(log.range(of: text), "\(text)\n\(log)").lowerBound
    }
    let first = max(try place("c-first.0 drained"), try place("c-first.1 drained"))
    let killed = try place("worker did not stop in time, killing it")
    #expect(first < killed)
    #expect(killed < (try place("a-last.0 drained")))
    #expect(log.contains("ending=\"signal KILL\" worker=b-second.0"))
  }

  @Test func aSecondSignalEndsEverythingAtOnce() async throws {
    let stubborn = "trap '' TERM; notify READY=1; while :; do sleep 1000; done"
    let server = try await start(["workers.d/a.yaml": try manifest("a", stubborn, "drain: {deadline: 1h}")])
    server.process.signal(SIGTERM)
    try await server.process.waitForOutput("stopping")
    let told = TestProcess.now
    while server.process.isRunning {
      server.process.signal(SIGINT)
      try await Task.sleep(for: .milliseconds(50))
      try #require(TestProcess.now - told < 20_000_000_000)
    }
    #expect(try await server.process.ending() == .exit(0))
    #expect(server.process.output.contains("told to stop again"))
  }
}
