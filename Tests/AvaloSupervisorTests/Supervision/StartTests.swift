import AvaloTesting
import Foundation
import Testing

@testable import AvaloSupervisor

/// From the first socket to READY, and what keeps it from there.
@Suite(.serialized) struct StartTests: ScriptWorkers {
  let folder = TestFolder()

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

  @Test func readyWaitsForWhatIsRequiredAndForNothingElse() async throws {
    let gate = "\(folder.path)/gate"
    try await Task {
      let server = try await start(
        [
          "workers.d/late.yaml": try manifest(
            "late", "while ! [ -e \(gate) ]; do sleep 0.02; done\n" + Scripts.plain),
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

  @Test func whatIsWrittenIsNobodyElses() async throws {
    let script = "echo \"umask $(umask)\"; echo x > $AVALO_STATE_DIR/data\n"
    let server = try await start(["workers.d/a.yaml": try manifest("a", script + Scripts.plain)])
    #expect(server.process.output.contains("umask 0077\n"))
    func mode(_ path: String) throws -> Int? {
      try FileManager.default.attributesOfItem(atPath: "\(folder.path)/\(path)")[.posixPermissions] as? Int
    }
    #expect(try mode("state/data") == 0o600)
    // A worker with a user of its own passes through these.
    for path in ["state", "run", "run/notify", "run/settings"] { #expect(try mode(path) == 0o711, "\(path)") }
    try await server.stop()
  }

  @Test func othersReachAWorkerOnlyEncryptedOrOnSomebodysWord() async throws {
    let open = try manifest("a", Scripts.plain, "sockets: {client: {listen: \"0.0.0.0:0\"}}")
    let refused = try await start(["workers.d/a.yaml": open], waitForReady: false)
    #expect(try await refused.process.ending() == .exit(78))
    #expect(
      refused.process.output.contains("0.0.0.0:0 can be reached from other machines without encryption"))
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run"), "nothing is bound")
    let server = try await ServerProcess.start(
      nil, environment: ["AVALO_WORKERS__A__SOCKETS__CLIENT__ALLOW_PLAINTEXT": "true"], in: folder)
    #expect(try await server.address(of: "client", worker: "a").host == "0.0.0.0")
    try await server.stop()
  }

  @Test func aProgramThatIsNotThereIsSaidBeforeAnythingStarts() async throws {
    let server = try await start(
      ["workers.d/a.yaml": "executable: avalo-nonsense", "workers.d/b.yaml": try manifest("b")], waitForReady: false)
    #expect(try await server.process.ending() == .exit(78))
    #expect(server.process.output.contains("workers.d/a.yaml:1: executable: there is no "))
    #expect(!server.process.output.contains("worker started"))
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

  @Test func twoOnOneStateFolderAreOneTooMany() async throws {
    let server = try await start(["workers.d/a.yaml": try manifest("a")])
    let second = try await ServerProcess.start(
      nil, environment: ["AVALO_RUNTIME_DIRECTORY": "\(folder.path)/other"], in: folder, waitForReady: false)
    #expect(try await second.process.ending() == .exit(69))
    #expect(
      second.process.output.contains(
        "another avalod (pid \(server.process.pid)) runs on \(folder.path)/state; stop it, or set another state_directory"
      ))
    #expect(!second.process.output.contains("worker started"))
    // The same folder for both is one avalod's own affair.
    try await server.stop()
    let both = try await ServerProcess.start(
      nil, environment: ["AVALO_STATE_DIRECTORY": "\(folder.path)/run"], in: folder)
    #expect(try await both.stop() == .exit(0))
  }

  @Test func aStopEndsTheWaitForASocketToo() async throws {
    let server = try await start([
      "workers.d/a.yaml": try manifest("a", Scripts.plain, "sockets: {x: {listen: \"127.0.0.1:0\"}}")
    ])
    let (host, port) = try await server.address(of: "x", worker: "a")
    // A socket that is taken is waited for, some seconds: an avalod that was killed may have left workers that are dying.
    let other = try await ServerProcess.start(
      .files(["workers.d/b.yaml": try manifest("b", Scripts.plain, "sockets: {x: {listen: \"\(host):\(port)\"}}")]),
      waitForReady: false)
    let deadline = TestProcess.now + 10_000_000_000
    while !Scripts.catches(SIGTERM, other.process.pid) {
      try #require(TestProcess.now < deadline)
      try await Task.sleep(for: .milliseconds(1))
    }
    other.process.signal(SIGTERM)
    #expect(try await other.process.ending() == .exit(0))
    #expect(!other.process.output.contains("cannot start"))
    try await server.stop()
  }

  @Test func aTakenPortIsSaidAndNothingIsStarted() async throws {
    let server = try await start([
      "workers.d/a.yaml": try manifest("a", Scripts.plain, "sockets: {x: {listen: \"127.0.0.1:0\"}}")
    ])
    let (host, port) = try await server.address(of: "x", worker: "a")
    let other = try await ServerProcess.start(
      .files([
        "workers.d/b.yaml": try manifest(
          "b", Scripts.plain, "sockets: {x: {listen: \"\(host):\(port)\", per_instance: true}}")
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

  @Test(.enabled(if: Needs.root, "needs root")) func aWorkerRunsAsItsOwnUser() async throws {
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
      "workers.d/b.yaml": try manifest("b", Scripts.plain, "settings: {secret: 2}"),
    ])
    #expect(server.process.output.contains("I am nobody with {\"secret\":1}\n"))
    let spy = try await TestProcess.start(
      "/bin/sh",
      ["-c", "setpriv --reuid 65534 --clear-groups cat \(folder.path)/run/settings/b.json || echo refused"])
    _ = try await spy.ending()
    #expect(spy.output.contains("refused"))
    #expect(try await server.stop() == .exit(0))
  }
}
