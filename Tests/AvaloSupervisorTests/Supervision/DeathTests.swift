import AvaloTesting
import Foundation
import Testing

@testable import AvaloSupervisor

/// What follows when a worker, or avalod itself, ends or hangs.
@Suite(.serialized) struct DeathTests: ScriptWorkers {
  let folder = TestFolder()

  @Test func aDeadWorkerIsStartedAgainAtOnceWithItsSockets() async throws {
    // It accepts nothing, so a connection stays in the backlog, which must outlive it.
    let server = try await start([
      "workers.d/a.yaml": try manifest("a", Scripts.plain, "sockets: {client: {listen: \"127.0.0.1:0\"}}")
    ])
    let before = try await server.address(of: "client", worker: "a")
    for round in 1...5 {
      let pid = try #require(try await server.pid(of: "a"))
      let killedAt = TestProcess.now
      kill(pid, SIGKILL)
      try await server.process.wait(for: "start \(round)") {
        $0.output.components(separatedBy: "worker started").count == round + 2
      }
      // The promise is 100 ms from death to start, on a machine that has time for us.
      #expect(TestProcess.now - killedAt < 1_000_000_000)
      try await server.wait(for: "READY") { $0.ready }
      #expect(try await server.pid(of: "a") != pid)
    }
    #expect(try await server.address(of: "client", worker: "a") == before)
    #expect(try await server.metric(#"avalo_worker_restarts_total{worker="a",slot="0",reason="signal"}"#) == 5)
    #expect(try await server.metric(#"avalo_worker_restarts_total{worker="a",slot="0",reason="exit"}"#) == 0)
    #expect(server.process.output.contains("worker died ending=\"signal KILL\""))
    for delay in Scripts.delays(in: server.process.output) { #expect(delay == "0s") }
    try await server.stop()
  }

  @Test func aWorkerThatNeverGetsReadyIsTriedEverMoreRarely() async throws {
    let server = try await start(
      [
        "workers.d/bad.yaml": try manifest("bad", "exit 3", "restart: {min: 20ms, max: 200ms}"),
        "workers.d/gone.yaml": try manifest(
          "gone", "notify READY=1; rm $0; exit 1", "restart: {min: 100ms, max: 100ms}"),
        "workers.d/good.yaml": try manifest("good"),
      ], waitForReady: false)
    try await server.process.wait(for: "seven deaths") { record in
      Scripts.delays(
        in: record.output.split(separator: "\n").filter { $0.contains("bad.0") }.joined(separator: "\n")
      )
      .count >= 7
    }
    let bad = server.process.output.split(separator: "\n").filter { $0.contains("worker=bad.0") }.joined(
      separator: "\n")
    #expect(Scripts.delays(in: bad).prefix(7) == ["20ms", "40ms", "80ms", "160ms", "200ms", "200ms", "200ms"])
    // What cannot be executed is a death like another.
    try await server.process.waitForOutput("execute: No such file or directory")
    let answer = try await server.admin("/readyz")
    #expect(answer.status == 503)
    #expect(answer.body.contains("bad.0 "))
    #expect(!answer.body.contains("good.0"))
    let metrics = try await server.metrics()
    #expect(metrics.contains("avalo_worker_up{worker=\"good\",slot=\"0\"} 1\n"))
    #expect(metrics.contains("avalo_worker_up{worker=\"bad\",slot=\"0\"} 0\n"))
    #expect(try await server.status().status.contains("1 of 3 workers ready"))
    #expect(!server.process.record.notified.contains("READY=1"))
    #expect(try await server.stop() == .exit(0))
  }

  @Test func aLoopOfReadyAndDeathIsSlowedDown() async throws {
    let server = try await start([
      "workers.d/a.yaml": try manifest("a", "notify READY=1; exit 0", "restart: {min: 50ms, max: 10s}")
    ])
    try await server.process.wait(for: "slower restarts") { Scripts.delays(in: $0.output).contains("400ms") }
    let delays = Scripts.delays(in: server.process.output)
    #expect(delays.prefix(15).allSatisfy { $0 == "0s" })
    #expect(delays.drop { $0 == "0s" }.prefix(4) == ["50ms", "100ms", "200ms", "400ms"])
    #expect(try await server.metric(#"avalo_worker_throttled{worker="a",slot="0"}"#) != nil)
    try await server.stop()
  }

  @Test func aWorkerThatMissesItsWatchdogIsKilledAndStartedAgain() async throws {
    let script = """
      notify READY=1
      [ -e \(folder.path)/hung ] || { touch \(folder.path)/hung; trap '' ABRT TERM; while :; do sleep 1000; done; }
      trap 'exit 0' TERM
      while :; do notify WATCHDOG=1; sleep 0.1; done
      """
    let server = try await start(["workers.d/a.yaml": try manifest("a", script, "watchdog: 2s")])
    let first = try await server.pid(of: "a")
    try await server.process.waitForOutput("worker missed its watchdog")
    // It ignores SIGABRT: SIGKILL follows.
    try await server.process.waitForOutput("reason=watchdog")
    try await server.wait(for: "READY") { $0.ready }
    #expect(try await server.pid(of: "a") != first)
    #expect(try await server.metric(#"avalo_worker_restarts_total{worker="a",slot="0",reason="watchdog"}"#) == 1)
    // The second one feeds it, for longer than the interval.
    let started = TestProcess.now
    try await server.wait(for: "two intervals") { _ in TestProcess.now - started > 4_500_000_000 }
    #expect(try await server.metric(#"avalo_worker_restarts_total{worker="a",slot="0",reason="watchdog"}"#) == 1)
    try await server.stop()
  }

  @Test func aStartThatTakesTooLongIsEnded() async throws {
    let server = try await start(
      ["workers.d/a.yaml": try manifest("a", "sleep 1000", "start_timeout: 200ms")], waitForReady: false)
    try await server.process.waitForOutput("worker was not ready in time")
    try await server.process.waitForOutput("reason=start_timeout")
    try await server.stop()
  }

  @Test func theSupervisorsDeathIsItsWorkersDeath() async throws {
    // One that ignores every signal it may, and has a child of its own.
    let script = """
      trap '' TERM HUP INT
      notify READY=1
      while :; do sleep 1000; done
      """
    let server = try await start([
      "workers.d/a.yaml": try manifest("a", script, "instances: 2\ndrain: {deadline: 200ms}")
    ])
    let pids = try await server.status().instances(of: "a").compactMap(\.pid)
    #expect(pids.count == 2)
    #expect(try await server.process.stop(SIGKILL) == .signal(SIGKILL))
    for pid in pids {
      let deadline = TestProcess.now + 5_000_000_000
      while Scripts.isAlive(pid) {
        try #require(TestProcess.now < deadline, "an orphan serves")
        try await Task.sleep(for: .milliseconds(5))
      }
    }
    // And the next one finds everything free: the lock, the sockets.
    let next = try await ServerProcess.start(nil, in: folder)
    #expect(try await next.stop() == .exit(0))
  }
}
