import AvaloTesting
import Foundation
import Testing

@testable import AvaloSupervisor

/// avalod as a process, with workers that are shell scripts added by a manifest alone: all that the supervisor needs to
/// know of a worker is in there.
@Suite(.serialized) struct SupervisionTests {
  /// What the scripts share: `notify` says something to NOTIFY_SOCKET, as systemd-notify(1) does.
  static let prelude = """
    #!/bin/sh
    notify() {
      perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_DGRAM, 0); send($s, $ARGV[0], 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die $!' "$1"
    }

    """

  /// Says READY, and ends when told.
  static let plain = """
    trap 'notify STOPPING=1; echo "$AVALO_WORKER.$AVALO_SLOT stopped"; exit 0' TERM
    trap 'notify RELOADING=1; echo "$AVALO_WORKER read $(cat $AVALO_SETTINGS)"; notify READY=1' HUP
    notify READY=1
    while :; do sleep 1000 & wait $!; done
    """

  let folder = TestFolder()

  /// A manifest whose executable is `script`.
  func manifest(_ name: String, _ script: String = plain, _ rest: String = "") throws -> String {
    let path = try folder.write(Self.prelude + script, to: "\(name).sh", executable: true)
    return "executable: \(path)\n\(rest)\n"
  }

  func start(_ files: [String: String], waitForReady: Bool = true, environment: [String: String] = [:]) async throws
    -> ServerProcess
  {
    try await ServerProcess.start(.files(files), environment: environment, in: folder, waitForReady: waitForReady)
  }

  // MARK: Life

  @Test func aShellScriptIsAWorker() async throws {
    let script = """
      echo "env $AVALO_WORKER $AVALO_SLOT $LISTEN_FDS $LISTEN_FDNAMES $WATCHDOG_USEC $AVALO_DRAIN_USEC $AVALO_LOG $GREETING"
      [ "$LISTEN_PID" = $$ ] && [ "$WATCHDOG_PID" = $$ ] && echo "pids right"
      [ -p /proc/self/fd/$AVALO_LIFELINE_FD ] && echo "lifeline right"
      echo "settings $(cat $AVALO_SETTINGS) $(stat -c %a $AVALO_SETTINGS)"
      notify "READY=1
      STATUS=all is well"
      trap 'exit 0' TERM
      while :; do sleep 1000 & wait $!; done
      """
    let server = try await start([
      "workers.d/shell.yaml": try manifest(
        "shell", script,
        """
        sockets: {client: {listen: "127.0.0.1:0"}, link: {listen: "unix:shell.sock"}}
        environment: {GREETING: hello}
        watchdog: 60s
        settings: {a: [1, "two"]}
        """)
    ])
    #expect(server.process.output.contains("env shell 0 2 client:link 60000000 10000000 console hello\n"))
    #expect(server.process.output.contains("pids right\n"))
    #expect(server.process.output.contains("lifeline right\n"))
    #expect(server.process.output.contains("settings {\"a\":[1,\"two\"]} 600\n"))
    let status = try await server.status()
    #expect(status.ready)
    #expect(status.status == "1 worker")
    #expect(status.instances(of: "shell").first?.status == "all is well")
    #expect(try await server.admin("/readyz").status == 200)
    #expect(try await server.admin("/healthz").body == "alive\n")
    #expect(try await server.stop() == .exit(0))
    // Nothing stays but the lock's file.
    let left = try FileManager.default.subpathsOfDirectory(atPath: "\(folder.path)/run").sorted()
    #expect(left == ["avalod.lock", "metrics", "notify", "settings"])
    #expect(server.process.record.notified.contains("STOPPING=1"))
  }

  @Test func upwardItIsAModelService() async throws {
    let server = try await start(
      ["workers.d/a.yaml": try manifest("a", Self.plain, "sockets: {x: {listen: \"127.0.0.1:0\"}}")],
      environment: ["WATCHDOG_USEC": "200000"])
    try await server.process.waitForNotification("WATCHDOG=1", count: 4)
    let notified = server.process.record.notified
    let ready = try #require(notified.firstIndex(of: "READY=1"))
    #expect(notified[ready + 1] == "STATUS=1 worker")
    // The listening sockets are given away for the next run, by name.
    let stored = server.process.record.notifications.filter { $0.lines.contains("FDSTORE=1") }
    #expect(stored.flatMap(\.lines).filter { $0.hasPrefix("FDNAME=") } == ["FDNAME=a.x.0", "FDNAME=avalod.admin.0"])
    #expect(stored.allSatisfy { $0.descriptors.count == 1 })
    try await server.stop()
    let all = server.process.record.notified
    #expect(all.contains("STOPPING=1"))
    // The drain's deadline, what comes after it, and a margin.
    #expect(all.contains("EXTEND_TIMEOUT_USEC=17000000"))
    #expect(!all.contains { $0.hasPrefix("MAINPID") })
  }

  @Test func readyWaitsForWhatIsRequiredAndForNothingElse() async throws {
    let gate = "\(folder.path)/gate"
    try await Task {
      let server = try await start(
        [
          "workers.d/late.yaml": try manifest(
            "late", "while ! [ -e \(gate) ]; do sleep 0.02; done\n" + Self.plain),
          "workers.d/never.yaml": try manifest("never", "sleep 1000", "required: false"),
        ], waitForReady: false)
      try await server.process.waitForOutput("worker=never.0")
      try await server.wait(for: "its start") { $0.instances(of: "late").first?.state == "starting" }
      let answer = try await server.admin("/readyz")
      #expect(answer.status == 503)
      #expect(answer.body == "not ready\nlate.0 starting\n")
      #expect(!server.process.record.notified.contains("READY=1"))
      try folder.write("", to: "gate")
      try await server.process.waitForNotification("READY=1")
      #expect(try await server.admin("/readyz").status == 200)
      #expect(try await server.status().status == "1 of 2 workers ready, never.0 starting")
      // The one that never answers has no handler and ends at once; nothing waits for its deadline.
      #expect(try await server.stop() == .exit(0))
    }.value
  }

  // MARK: Death

  @Test func aDeadWorkerIsStartedAgainAtOnceWithItsSockets() async throws {
    // It accepts nothing, so a connection stays in the backlog, which must outlive it.
    let server = try await start([
      "workers.d/a.yaml": try manifest("a", Self.plain, "sockets: {client: {listen: \"127.0.0.1:0\"}}")
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
    for delay in SupervisionTests.delays(in: server.process.output) { #expect(delay == "0s") }
    try await server.stop()
  }

  /// What the log says of each death's `restart_in`.
  static func delays(in log: String) -> [String] {
    log.split(separator: "\n").filter { $0.contains("worker died") }.compactMap { line in
      line.split(separator: " ").first { $0.hasPrefix("restart_in=") }.map { String($0.dropFirst(11)) }
    }
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
      SupervisionTests.delays(
        in: record.output.split(separator: "\n").filter { $0.contains("bad.0") }.joined(separator: "\n")
      )
      .count >= 7
    }
    let bad = server.process.output.split(separator: "\n").filter { $0.contains("worker=bad.0") }.joined(
      separator: "\n")
    #expect(Self.delays(in: bad).prefix(7) == ["20ms", "40ms", "80ms", "160ms", "200ms", "200ms", "200ms"])
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
    try await server.process.wait(for: "slower restarts") { Self.delays(in: $0.output).contains("400ms") }
    let delays = Self.delays(in: server.process.output)
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
    let server = try await start(["workers.d/a.yaml": try manifest("a", script, "watchdog: 500ms")])
    let first = try await server.pid(of: "a")
    try await server.process.waitForOutput("worker missed its watchdog")
    // It ignores SIGABRT: SIGKILL follows.
    try await server.process.waitForOutput("reason=watchdog")
    try await server.wait(for: "READY") { $0.ready }
    #expect(try await server.pid(of: "a") != first)
    #expect(try await server.metric(#"avalo_worker_restarts_total{worker="a",slot="0",reason="watchdog"}"#) == 1)
    // The second one feeds it, for longer than the interval.
    let started = TestProcess.now
    try await server.wait(for: "two intervals") { _ in TestProcess.now - started > 1_200_000_000 }
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
      while Self.isAlive(pid) {
        try #require(TestProcess.now < deadline, "an orphan serves")
        try await Task.sleep(for: .milliseconds(5))
      }
    }
    // And the next one finds everything free: the lock, the sockets.
    let next = try await ServerProcess.start(nil, in: folder)
    #expect(try await next.stop() == .exit(0))
  }

  static func isAlive(_ pid: Int32) -> Bool {
    guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let state = stat.split(separator: ")").last?.first(where: { $0 != " " })
    else { return false }
    return state != "Z" && state != "X"
  }

  // MARK: Reload

  @Test func aReloadTouchesOnlyWhatChanged() async throws {
    let signalled = try manifest("signalled", Self.plain, "reload: signal\nsettings: {n: 1}")
    let restarted = try manifest("restarted", Self.plain, "instances: 2\nsettings: {n: 1}")
    let kept = try manifest("kept", Self.plain, "settings: {n: 1}")
    let leaving = try manifest("leaving")
    let server = try await start([
      "workers.d/signalled.yaml": signalled, "workers.d/restarted.yaml": restarted, "workers.d/kept.yaml": kept,
      "workers.d/leaving.yaml": leaving,
    ])
    let before = try await server.status()
    func pids(_ status: ServerProcess.Status, _ worker: String) -> [Int32] {
      status.instances(of: worker).compactMap(\.pid)
    }

    try folder.write(signalled.replacing("n: 1", with: "n: 2"), to: "config/workers.d/signalled.yaml")
    try folder.write(restarted.replacing("n: 1", with: "n: 2"), to: "config/workers.d/restarted.yaml")
    // A comment is no change; neither is what only the supervisor keeps in mind.
    try folder.write("# new\n" + kept + "drain: {deadline: 3s}\n", to: "config/workers.d/kept.yaml")
    try FileManager.default.removeItem(atPath: "\(folder.path)/config/workers.d/leaving.yaml")
    try folder.write(try manifest("added"), to: "config/workers.d/added.yaml")
    let answer = try await server.control("POST", "/reload")
    #expect(answer.status == 200)
    #expect(answer.body == #"{"result":"success","generation":2,"problems":[]}"#)

    let after = try await server.status()
    #expect(after.ready)
    #expect(after.generation == 2)
    #expect(after.workers.map(\.name) == ["added", "kept", "restarted", "signalled"])
    #expect(pids(after, "kept") == pids(before, "kept"))
    #expect(pids(after, "signalled") == pids(before, "signalled"))
    #expect(server.process.output.contains("signalled read {\"n\":2}"))
    #expect(Set(pids(after, "restarted")).isDisjoint(with: pids(before, "restarted")))
    #expect(pids(after, "restarted").count == 2)
    #expect(!Self.isAlive(pids(before, "leaving")[0]))
    #expect(try folder.read("run/settings/restarted.json") == #"{"n":2}"#)
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run/settings/leaving.json"))
    #expect(try await server.metric(#"avalo_reload_total{result="success"}"#) == 1)
    #expect(
      try await server.metric(#"avalo_worker_restarts_total{worker="restarted",slot="1",reason="requested"}"#) == 1)
    let notified = server.process.record.notified
    let reloading = try #require(notified.firstIndex(of: "RELOADING=1"))
    #expect(notified[reloading + 1].hasPrefix("MONOTONIC_USEC="))
    #expect(notified[reloading...].contains("READY=1"))
    try await server.stop()
  }

  @Test func aBadConfigurationIsRefusedWhole() async throws {
    let good = try manifest("a", Self.plain, "settings: {n: 1}")
    let server = try await start(["workers.d/a.yaml": good])
    let pid = try await server.pid(of: "a")
    try folder.write(
      good.replacing("n: 1", with: "n: 2") + "watchdog: soon\nnonsense: 1\n", to: "config/workers.d/a.yaml")
    try folder.write(try manifest("b"), to: "config/workers.d/b.yaml")
    server.process.signal(SIGHUP)
    try await server.process.waitForNotification("READY=1", count: 2)
    let log = server.process.output
    #expect(log.contains("workers.d/a.yaml:3: watchdog: expected a duration of 100ms to 1h"))
    #expect(log.contains("workers.d/a.yaml:4: nonsense: unknown key"))
    var status = try await server.status()
    #expect(status.generation == 1)
    #expect(status.workers.map(\.name) == ["a"])
    #expect(status.instances(of: "a").first?.pid == pid)
    #expect(try folder.read("run/settings/a.json") == #"{"n":1}"#)
    #expect(server.process.record.notified.contains { $0.hasPrefix("STATUS=reload failed (2 problems, see the log)") })
    #expect(try await server.metric(#"avalo_reload_total{result="failure"}"#) == 1)

    // What is free in the file but not in the machine changes nothing either.
    let (host, port) = try await server.address(of: "admin")
    try folder.write(
      good.replacing("n: 1", with: "n: 3") + "sockets: {x: {listen: \"\(host):\(port)\"}}\n",
      to: "config/workers.d/a.yaml")
    let busy = try await server.control("POST", "/reload")
    #expect(busy.status == 422)
    #expect(busy.body.contains("a.x: cannot listen at 127.0.0.1:\(port): Address already in use"))
    status = try await server.status()
    #expect(status.instances(of: "a").first?.pid == pid)

    // And what cannot change while it runs.
    try folder.write(good, to: "config/workers.d/a.yaml")
    try folder.write("control: {socket: other.sock}", to: "config/avalo.yaml")
    let fixed = try await server.control("POST", "/reload")
    #expect(fixed.body.contains("control.socket: cannot change in a reload; restart avalod"))
    try folder.write("", to: "config/avalo.yaml")
    #expect(try await server.control("POST", "/reload").status == 200)
    #expect(try await server.status().workers.map(\.name) == ["a", "b"])
    try await server.stop()
  }

  @Test func instancesComeAndGo() async throws {
    let text = try manifest(
      "a", Self.plain, "instances: 2\nsockets: {x: {listen: \"127.0.0.1:0\", per_instance: true}}")
    let server = try await start(["workers.d/a.yaml": text])
    let address = try await server.address(of: "x", worker: "a")
    let pids = try await server.status().instances(of: "a").compactMap(\.pid)
    func reload(_ instances: Int) async throws -> [Int32] {
      try folder.write(text.replacing("instances: 2", with: "instances: \(instances)"), to: "config/workers.d/a.yaml")
      #expect(try await server.control("POST", "/reload").status == 200)
      #expect(try await server.address(of: "x", worker: "a") == address)
      let status = try await server.status()
      #expect(status.ready)
      return status.instances(of: "a").compactMap(\.pid)
    }
    let more = try await reload(4)
    #expect(more.count == 4 && Array(more.prefix(2)) == pids)
    #expect(try await reload(1) == [pids[0]])
    for pid in more.dropFirst() { #expect(!Self.isAlive(pid)) }
    let names = server.process.record.notified.filter { $0.hasPrefix("FDSTOREREMOVE") }
    #expect(names.count == 3, "what is closed is not kept for the next run")
    #expect(try await reload(2).count == 2)
    try await server.stop()
  }

  @Test func aConfigurationThatKeepsItFromReadyCanBeMended() async throws {
    let server = try await start(["workers.d/a.yaml": try manifest("a", "exit 1")], waitForReady: false)
    try await server.process.waitForOutput("worker died")
    // The script is the same; its manifest is not.
    try folder.write(try manifest("b"), to: "config/workers.d/b.yaml")
    try folder.write("executable: nowhere\nenabled: false", to: "config/workers.d/a.yaml")
    #expect(try await server.control("POST", "/reload").status == 200)
    try await server.process.waitForNotification("READY=1")
    #expect(!server.process.record.notified.contains("RELOADING=1"))
    #expect(try await server.status().workers.map(\.name) == ["b"])
    #expect(try await server.stop() == .exit(0))
  }

  @Test func theAdminPagesMove() async throws {
    try folder.write("admin: {listen: \"127.0.0.1:0\"}", to: "config/avalo.yaml")
    var variables = TestProcess.plainEnvironment
    variables["AVALO_RUNTIME_DIRECTORY"] = "\(folder.path)/run"
    variables["AVALO_STATE_DIRECTORY"] = "\(folder.path)/state"
    let avalod = try await TestProcess.start(
      TestPaths.executable("avalod"), ["--config", "\(folder.path)/config"], environment: variables,
      notifySocket: "\(folder.path)/notify.sock")
    try await avalod.waitForNotification("READY=1")
    func ask(_ method: String, _ path: String) async throws -> HTTPExchange.Answer {
      try await HTTPExchange.send(method, path, to: .unix("\(folder.path)/run/control.sock"))
    }
    func place() async throws -> (host: String, port: Int) {
      let status = try await ask("GET", "/status").body
      let address = try #require(status.firstMatch(of: /"admin":\["\[?([0-9.:]+?)\]?:([0-9]+)"\]/))
      return (String(address.1), try #require(Int(address.2)))
    }
    let before = try await place()
    #expect(
      try await HTTPExchange.send("GET", "/readyz", to: .internet(host: before.host, port: before.port)).status == 200)
    try folder.write("admin: {listen: \"127.0.0.2:0\"}", to: "config/avalo.yaml")
    #expect(try await ask("POST", "/reload").status == 200)
    let after = try await place()
    #expect(after.host == "127.0.0.2")
    #expect(
      try await HTTPExchange.send("GET", "/readyz", to: .internet(host: after.host, port: after.port)).status == 200)
    await #expect(throws: (any Error).self) {
      try await HTTPExchange.send("GET", "/readyz", to: .internet(host: before.host, port: before.port))
    }
    #expect(try await avalod.stop() == .exit(0))
  }

  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-notify"), "needs systemd-notify"))
  func systemdsOwnToolSpeaksToUs() async throws {
    // A child of the worker that is gone before its word is read; it waits for a descriptor it passes to be closed.
    let script = """
      systemd-notify --ready --status="by systemd's tool" && echo "heard"
      trap 'exit 0' TERM
      while :; do sleep 1000 & wait $!; done
      """
    let server = try await start(["workers.d/a.yaml": try manifest("a", script)])
    try await server.process.waitForOutput("heard")
    #expect(try await server.status().instances(of: "a").first?.status == "by systemd's tool")
    try await server.stop()
  }

  @Test func aStormOfSignalsIsHarmless() async throws {
    let server = try await start(["workers.d/a.yaml": try manifest("a", Self.plain, "reload: signal\nsettings: {n: 0}")]
    )
    let pid = try await server.pid(of: "a")
    for round in 1...300 {
      if round % 50 == 0 {
        try folder.write(
          try manifest("a", Self.plain, "reload: signal\nsettings: {n: \(round)}"), to: "config/workers.d/a.yaml")
      }
      server.process.signal(SIGHUP)
    }
    try await server.process.waitForOutput("a read {\"n\":300}")
    try await server.wait(for: "the end of the reloads") { $0.state == "running" }
    #expect(try await server.pid(of: "a") == pid)
    let reloads = try await server.metric(#"avalo_reload_total{result="success"}"#) ?? 0
    #expect(reloads >= 1 && reloads < 300)
    #expect(try await server.stop() == .exit(0))
  }

  @Test func aWorkersOwnCheckIsPartOfTheConfiguration() async throws {
    let script = """
      if [ "$1" = --check ]; then
        grep -q bad $AVALO_SETTINGS || exit 0
        printf 'ping.interval\\texpected a duration, not "bad"\\n'
        exit 78
      fi

      """
    let manifest = try manifest("a", script + Self.plain, "check: [--check]\nsettings:\n  ping:\n    interval: good")
    let server = try await start(["workers.d/a.yaml": manifest])
    let bad = manifest.replacing("good", with: "bad")
    try folder.write(bad, to: "config/workers.d/a.yaml")
    let answer = try await server.control("POST", "/reload")
    #expect(answer.status == 422)
    #expect(answer.body.contains(#"workers.d/a.yaml:5: settings.ping.interval: expected a duration, not \"bad\""#))
    try await server.stop()

    // The same said by the command line, with all else that is wrong; nothing is started or written.
    try folder.write(bad + "drian: {}\n", to: "config/workers.d/a.yaml")
    let check = try await TestProcess.start(
      TestPaths.executable("avalod"), ["--config", "\(folder.path)/config", "--check"])
    #expect(try await check.ending() == .exit(78))
    #expect(check.output.contains("a.yaml:6: drian: unknown key; did you mean \"drain\"?"))
  }

  // MARK: End

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

  @Test func asecondSignalEndsEverythingAtOnce() async throws {
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

  @Test func twoOnOneFolderAreOneTooMany() async throws {
    let server = try await start(["workers.d/a.yaml": try manifest("a")])
    let second = try await ServerProcess.start(nil, in: folder, waitForReady: false)
    #expect(try await second.process.ending() == .exit(69))
    #expect(
      second.process.output.contains(
        "another avalod (pid \(server.process.pid)) runs on \(folder.path)/run; stop it, or set another runtime_directory"
      ))
    #expect(try await server.status().ready, "the first is not disturbed")
    try await server.stop()
  }

  @Test func aTakenPortIsSaidAndNothingIsStarted() async throws {
    let server = try await start([
      "workers.d/a.yaml": try manifest("a", Self.plain, "sockets: {x: {listen: \"127.0.0.1:0\"}}")
    ])
    let (host, port) = try await server.address(of: "x", worker: "a")
    let other = try await ServerProcess.start(
      .files([
        "workers.d/b.yaml": try manifest(
          "b", Self.plain, "sockets: {x: {listen: \"\(host):\(port)\", per_instance: true}}")
      ]),
      waitForReady: false)
    #expect(try await other.process.ending() == .exit(69))
    #expect(
      other.process.output.contains(
        "cannot listen at 127.0.0.1:\(port): Address already in use (another program listens there)"))
    #expect(!other.process.output.contains("worker started"))
    try await server.stop()
  }

  @Test func badConfigurationStartsNothing() async throws {
    let server = try await start(
      ["avalo.yaml": "admin: {listen: 5}"], waitForReady: false, environment: ["AVALO_LOG__LEVEL": "loud"])
    #expect(try await server.process.ending() == .exit(78))
    #expect(
      server.process.output.contains(
        "AVALO_LOG__LEVEL: log.level: expected one of debug, info, notice, warning, error, not \"loud\""))
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run"))
  }

  // MARK: Faces

  /// Serves its metrics, and tells what it was asked: an HTTP server in as few lines as will do.
  static let talking = """
    exec perl -MSocket -e '
      my @names = split /:/, $ENV{LISTEN_FDNAMES};
      my ($index) = grep { $names[$_] eq "metrics" } 0..$#names;
      open(my $listener, "+<&=", 3 + $index) or die $!;
      socket(my $s, AF_UNIX, SOCK_DGRAM, 0);
      send($s, "READY=1", 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die $!;
      my $page = "# HELP jobs_total Jobs done.\\n# TYPE jobs_total counter\\njobs_total{kind=\\"a\\"} 5000\\njobs_total{kind=\\"b\\"} 1234\\n";
      while (1) {
        my $in = ""; vec($in, fileno($listener), 1) = 1;
        select($in, undef, undef, undef);
        accept(my $c, $listener) or next;
        my ($request, $length) = ("", 0);
        while (my $line = <$c>) { $request .= $line; $length = $1 if $line =~ /^content-length: (\\d+)/i; last if $line eq "\\r\\n" }
        read($c, my $body, $length) if $length;
        my ($method, $path) = split / /, $request;
        print STDERR "asked $method $path " . ($body // "") . "\\n" if $path eq "/log-level";
        my $answer = $path eq "/metrics" ? (-e "$ENV{AVALO_STATE_DIR}/broken" ? "not { a page\\n" : $page) : "$method $path " . ($body // "") . " at $ENV{AVALO_SLOT}\\n";
        print $c "HTTP/1.1 " . ($path eq "/teapot" ? 418 : 200) . " OK\\r\\nContent-Length: " . length($answer) . "\\r\\nConnection: close\\r\\n\\r\\n$answer";
        close($c);
      }'
    """

  @Test func onePageHasAllWorkersSeries() async throws {
    let server = try await start([
      "workers.d/talking.yaml": try manifest(
        "talking", Self.talking, "metrics: true\ninstances: 2\nstatus: [{series: jobs_total, label: jobs}]"),
      "workers.d/silent.yaml": try manifest("silent", Self.plain, "metrics: true"),
      "workers.d/plain.yaml": try manifest("plain"),
    ])
    let started = TestProcess.now
    let page = try await server.metrics()
    // The silent one is waited for as long as is said, not longer.
    #expect(TestProcess.now - started < 5_000_000_000)
    #expect(
      page.contains(
        """
        # HELP jobs_total Jobs done.
        # TYPE jobs_total counter
        jobs_total{worker="talking",slot="0",kind="a"} 5000
        jobs_total{worker="talking",slot="0",kind="b"} 1234
        jobs_total{worker="talking",slot="1",kind="a"} 5000
        jobs_total{worker="talking",slot="1",kind="b"} 1234

        """))
    #expect(page.contains("avalo_worker_scrape_success{worker=\"talking\",slot=\"1\"} 1\n"))
    #expect(page.contains("avalo_worker_scrape_success{worker=\"silent\",slot=\"0\"} 0\n"))
    #expect(!page.contains("avalo_worker_scrape_success{worker=\"plain\""))
    for series in ["resident_memory_bytes", "cpu_seconds_total", "open_fds", "max_fds", "ready_seconds"] {
      #expect(page.contains("avalo_worker_\(series){worker=\"plain\",slot=\"0\"} "))
    }
    for series in ["avalo_memory_limit_bytes ", "avalo_memory_used_bytes ", "avalo_reload_total{result=\"failure\"} 0"]
    {
      #expect(page.contains("\n\(series)"))
    }
    try await server.wait(for: "the sum in the line") { $0.status == "4 workers, 12 468 jobs" }
    // A page that is none costs its own worker only.
    try folder.write("", to: "state/broken")
    let after = try await server.metrics()
    #expect(!after.contains("jobs_total"))
    #expect(after.contains("avalo_worker_scrape_success{worker=\"talking\",slot=\"0\"} 0\n"))
    try await server.stop()
  }

  @Test func requestsAreForwardedUnread() async throws {
    let server = try await start([
      "workers.d/talking.yaml": try manifest("talking", Self.talking, "metrics: true\ninstances: 2"),
      "workers.d/plain.yaml": try manifest("plain"),
    ])
    let answer = try await server.control("POST", "/workers/talking/users/7?x=%20y&z", body: "{\"a\":1}")
    #expect(answer.status == 200)
    #expect(answer.body == "POST /users/7?x=%20y&z {\"a\":1} at 0\n")
    #expect(try await server.control("GET", "/workers/talking.1/x").body == "GET /x  at 1\n")
    #expect(try await server.control("DELETE", "/workers/talking.1").body == "DELETE /  at 1\n")
    #expect(try await server.control("GET", "/workers/talking/teapot").status == 418)
    let unknown = try await server.control("GET", "/workers/talkin/x")
    #expect(unknown.status == 404)
    #expect(unknown.body == "there is no worker \"talkin\"; did you mean \"talking\"?\n")
    #expect(try await server.control("GET", "/workers/plain/x").status == 404)
    #expect(try await server.control("GET", "/nothing").status == 404)
    #expect(try await server.control("GET", "/reload").status == 405)

    let pids = try await server.status().instances(of: "talking").compactMap(\.pid)
    #expect(try await server.control("POST", "/workers/talking.1/restart").body == "restarted\n")
    var now = try await server.status().instances(of: "talking").compactMap(\.pid)
    #expect(now[0] == pids[0] && now[1] != pids[1])
    #expect(try await server.control("POST", "/workers/talking/restart").status == 200)
    now = try await server.status().instances(of: "talking").compactMap(\.pid)
    #expect(now[0] != pids[0])
    #expect(try await server.control("GET", "/workers/talking/restart").status == 405)
    try await server.stop()
  }

  @Test func theMergedPageSatisfiesPromtool() async throws {
    guard
      let promtool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].first(where: FileManager.default.isExecutableFile)
    else { return }
    let server = try await start([
      "workers.d/talking.yaml": try manifest("talking", Self.talking, "metrics: true\ninstances: 2")
    ])
    try folder.write(try await server.metrics(), to: "page.txt")
    let check = try await TestProcess.start("/bin/sh", ["-c", "\(promtool) check metrics < \(folder.path)/page.txt"])
    #expect(try await check.ending() == .exit(0), "\(check.output)")
    try await server.stop()
  }

  @Test func theLogLevelChangesWhileTheyRun() async throws {
    let server = try await start([
      "workers.d/talking.yaml": try manifest("talking", Self.talking, "metrics: true"),
      "workers.d/plain.yaml": try manifest("plain"),
    ])
    #expect(try await server.control("GET", "/log-level").body == "info\n")
    #expect(try await server.control("PUT", "/log-level", body: "loud").status == 400)
    #expect(try await server.control("PUT", "/log-level", body: "debug").body == "debug\n")
    try await server.process.waitForOutput("asked PUT /log-level debug")
    // A reload sets what the configuration says, if that changed.
    try folder.write("log: {level: error}", to: "config/avalo.yaml")
    #expect(try await server.control("POST", "/reload").status == 200)
    try await server.process.waitForOutput("asked PUT /log-level error")
    #expect(try await server.control("GET", "/log-level").body == "error\n")
    try await server.stop()
  }

  @Test(.enabled(if: geteuid() == 0, "needs root")) func aWorkerRunsAsItsOwnUser() async throws {
    chmod(folder.path, 0o755)
    let script = """
      echo "I am $(id -un) with $(cat $AVALO_SETTINGS)"
      notify READY=1
      trap 'exit 0' TERM
      while :; do sleep 1000 & wait $!; done
      """
    let server = try await start([
      "workers.d/a.yaml": try manifest("a", script, "user: nobody\nsettings: {secret: 1}"),
      // Another worker's settings are not its business.
      "workers.d/b.yaml": try manifest("b", Self.plain, "settings: {secret: 2}"),
    ])
    #expect(server.process.output.contains("I am nobody with {\"secret\":1}\n"))
    let spy = try await TestProcess.start(
      "/bin/sh",
      ["-c", "setpriv --reuid 65534 --clear-groups cat \(folder.path)/run/settings/b.json || echo refused"])
    _ = try await spy.ending()
    #expect(spy.output.contains("refused"))
    #expect(try await server.stop() == .exit(0))
  }

  // MARK: Over our own restart

  @Test func listenersThatTheServiceManagerKeptComeBack() async throws {
    let manifest = try manifest(
      "a", Self.plain, "instances: 2\nsockets: {client: {listen: \"127.0.0.1:0\", per_instance: true}}")
    let server = try await start(["workers.d/a.yaml": manifest])
    let address = try await server.address(of: "client", worker: "a")
    let stored = server.process.record.notifications.filter { $0.lines.contains("FDSTORE=1") }
    let names = stored.map { $0.lines.first { $0.hasPrefix("FDNAME=") }.map { String($0.dropFirst(7)) } ?? "" }
    #expect(names == ["a.client.0", "a.client.1", "avalod.admin.0"])
    try await server.process.stop(SIGKILL)
    // Between the two runs a client connects: its connection waits.
    let client = try connectedSocket(port: address.port)
    defer { close(client) }
    let next = try await ServerProcess.start(
      nil,
      environment: [
        "LISTEN_FDS": "\(names.count)", "LISTEN_FDNAMES": names.joined(separator: ":"), "LISTEN_PID": "",
      ], in: folder, descriptors: stored.flatMap(\.descriptors))
    #expect(try await next.address(of: "client", worker: "a") == address)
    var byte: UInt8 = 0
    #expect(recv(client, &byte, 1, Int32(MSG_DONTWAIT)) == -1 && errno == EAGAIN, "still open")
    try await next.stop()
    for descriptor in stored.flatMap(\.descriptors) { close(descriptor) }
  }

  private func connectedSocket(port: Int) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(result == 0)
    return descriptor
  }
}

extension ServerProcess {
  fileprivate func address(of face: String) async throws -> (String, Int) {
    let address = try #require(try await status().admin.first)
    let parts = address.split(separator: ":")
    return (String(parts[0]), try #require(Int(parts[1])))
  }
}
