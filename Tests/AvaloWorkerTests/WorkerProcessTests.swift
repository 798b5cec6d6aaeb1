import AvaloTesting
import Foundation
import Testing

/// The skeleton as avalod meets it: a process, its sockets, its signals, what it says.
@Suite(.timeLimit(.minutes(2))) struct WorkerProcessTests {
  @Test func servesAndStops() async throws {
    let worker = try await WorkerProcess.start(
      "avalo-test-worker", sockets: ["metrics", "link"], settings: #"{"greeting": "good day"}"#)
    #expect(try await worker.ask("/greeting").body == "good day\n")
    #expect(try await worker.ask("/sockets").body == "link\n")
    let health = try await worker.ask("/healthz")
    #expect(health.status == 200 && health.body == "ready\n")
    #expect(try await worker.metric("test_greetings_total") == 0)
    #expect(try await worker.metric("process_resident_memory_bytes") ?? 0 > 1e6)
    try await worker.process.waitForNotification("STATUS=ready to greet")
    #expect(try await worker.process.stop() == .exit(0))
    let said = worker.process.record.notified
    #expect(said.contains("STOPPING=1"))
    #expect(try #require(said.firstIndex(of: "READY=1")) < #require(said.firstIndex(of: "STOPPING=1")))
    // One line each, from whom, in order.
    #expect(worker.process.output.contains(" notice  test-worker.0 worker ready pid=\(worker.process.pid)\n"))
    #expect(worker.process.output.contains(" notice  test-worker.0 worker stopped\n"))
  }

  @Test func feedsTheWatchdogFromItsLoopOnly() async throws {
    let worker = try await WorkerProcess.start("avalo-test-worker", watchdog: .milliseconds(300))
    try await worker.process.waitForNotification("WATCHDOG=1", count: 5)
    // A part that is not alive stops it; its recovery feeds it again.
    _ = try await worker.ask("POST", "/sick")
    try await worker.process.waitForOutput("not alive: the watchdog is not fed parts=\"test part\"")
    let sick = worker.process.record.notified.count { $0 == "WATCHDOG=1" }
    _ = try await worker.ask("POST", "/well")
    try await worker.process.waitForOutput("alive again")
    try await worker.process.waitForNotification("WATCHDOG=1", count: sick + 3)
    // A loop that hangs sends nothing more: five intervals of silence, counted on the test's own clock.
    _ = try? await HTTPExchange.send(
      "POST", "/hang", to: .unix("\(worker.folder.path)/metrics.sock"), within: .seconds(2))
    let hung = TestProcess.now
    try await Task.sleep(for: .milliseconds(1500))
    let late = worker.process.record.notifications.filter { $0.nanoseconds > hung && $0.lines.contains("WATCHDOG=1") }
    // One may have been on its way.
    #expect(late.count <= 1)
    #expect(worker.process.isRunning)
    worker.process.signal(SIGKILL)
    #expect(try await worker.process.ending() == .signal(SIGKILL))
  }

  @Test func reloadsAndKeepsTheOldSettingsWhenTheNewAreWrong() async throws {
    let worker = try await WorkerProcess.start("avalo-test-worker")
    #expect(try await worker.ask("/greeting").body == "hello\n")

    try worker.folder.write(#"{"greeting": "servus"}"#, to: "settings.json")
    worker.process.signal(SIGHUP)
    try await worker.process.waitForNotification("READY=1", count: 2)
    #expect(try await worker.ask("/greeting").body == "servus\n")
    let said = worker.process.record.notified
    #expect(said.contains { $0.hasPrefix("MONOTONIC_USEC=") })
    #expect(said.count { $0 == "RELOADING=1" } == 1)

    for wrong in [#"{"greting": "x"}"#, "{", #"{"greeting": "x", "reload": "fail"}"#] {
      let before = worker.process.record.notified.count { $0 == "READY=1" }
      try worker.folder.write(wrong, to: "settings.json")
      worker.process.signal(SIGHUP)
      try await worker.process.waitForNotification("READY=1", count: before + 1)
      #expect(try await worker.ask("/greeting").body == "servus\n")
    }
    #expect(worker.process.output.contains("did you mean \\\"greeting\\\"?"))
    #expect(worker.process.output.contains("reload failed; the old settings stay"))
    #expect(try await worker.process.stop() == .exit(0))
  }

  @Test func exitsAtOnceWithItsSupervisor() async throws {
    let worker = try await WorkerProcess.start("avalo-test-worker", settings: #"{"drain": "never"}"#)
    // Even while its loop hangs.
    _ = try? await HTTPExchange.send(
      "POST", "/hang", to: .unix("\(worker.folder.path)/metrics.sock"), within: .seconds(2))
    let start = TestProcess.now
    worker.cutLifeline()
    #expect(try await worker.process.ending() == .exit(69))
    #expect(TestProcess.now - start < 20_000_000_000)
  }

  @Test func doesNotOutstayItsDrain() async throws {
    let worker = try await WorkerProcess.start(
      "avalo-test-worker", settings: #"{"drain": "never"}"#, environment: ["AVALO_DRAIN_USEC": "800000"])
    worker.process.signal(SIGTERM)
    try await worker.process.waitForNotification("STOPPING=1")
    let health = try await worker.ask("/healthz")
    #expect(health.status == 503 && health.body == "draining\n")
    #expect(try await worker.process.ending() == .exit(1))
    #expect(worker.process.output.contains("drain did not end in time"))
  }

  @Test func aSecondStopHurries() async throws {
    let worker = try await WorkerProcess.start(
      "avalo-test-worker", settings: #"{"drain": "never"}"#, environment: ["AVALO_DRAIN_USEC": "3600000000"])
    worker.process.signal(SIGTERM)
    try await worker.process.waitForNotification("STOPPING=1")
    worker.process.signal(SIGINT)
    #expect(try await worker.process.ending() == .exit(1))
  }

  @Test func aFailedStartSaysWhy() async throws {
    let worker = try await WorkerProcess.start(
      "avalo-test-worker", settings: #"{"start": "fail"}"#, waitForReady: false)
    #expect(try await worker.process.ending() == .exit(1))
    #expect(worker.process.output.contains("worker cannot start error=\"the test wants it so\""))
    #expect(!worker.process.record.notified.contains("READY=1"))
  }

  @Test func canBeStoppedWhileItStarts() async throws {
    let worker = try await WorkerProcess.start(
      "avalo-test-worker", settings: #"{"start": "never"}"#, waitForReady: false)
    // Its signals are taken before its sockets are served.
    while try await worker.ask("/healthz").status != 503 {}
    #expect(try await worker.process.stop() == .exit(0))
    #expect(!worker.process.record.notified.contains("READY=1"))
  }

  @Test func wrongSettingsAreToldAtOnceAndNothingStarts() async throws {
    let worker = try await WorkerProcess.start(
      "avalo-test-worker", settings: #"{"greting": 1, "drain": 5}"#, waitForReady: false)
    #expect(try await worker.process.ending() == .exit(78))
    #expect(worker.process.output.contains("key=drain"))
    #expect(worker.process.output.contains("key=greting"))
  }

  @Test func checksItsSettings() async throws {
    let folder = TestFolder()
    var variables = TestProcess.plainEnvironment
    variables["AVALO_SETTINGS"] = try folder.write(#"{"greting": 1, "drain": 5}"#, to: "bad.json")
    let bad = try await TestProcess.start(
      TestPaths.executable("avalo-test-worker"), ["--check"], environment: variables)
    #expect(try await bad.ending() == .exit(78))
    #expect(
      bad.output == "drain\texpected one of now, never, not 5\ngreting\tunknown key; did you mean \"greeting\"?\n")
    variables["AVALO_SETTINGS"] = try folder.write("{}", to: "good.json")
    let good = try await TestProcess.start(
      TestPaths.executable("avalo-test-worker"), ["--check"], environment: variables)
    #expect(try await good.ending() == .exit(0))
    #expect(good.output == "")
    variables["AVALO_SETTINGS"] = "\(folder.path)/none.json"
    let absent = try await TestProcess.start(
      TestPaths.executable("avalo-test-worker"), ["--check"], environment: variables)
    #expect(try await absent.ending() == .exit(78))
    #expect(absent.output.contains("No such file"))
  }

  @Test func helpsWhoStartsItByHand() async throws {
    let help = try await TestProcess.start(TestPaths.executable("avalo-test-worker"), ["--help"])
    #expect(try await help.ending() == .exit(0))
    #expect(help.output.hasPrefix("usage: avalo-test-worker"))
    let version = try await TestProcess.start(TestPaths.executable("avalo-test-worker"), ["--version"])
    #expect(try await version.ending() == .exit(0))
    #expect(version.output.hasPrefix("avalo-test-worker "))
    let wrong = try await TestProcess.start(TestPaths.executable("avalo-test-worker"), ["--chek"])
    #expect(try await wrong.ending() == .exit(64))
    let repair = try await TestProcess.start(TestPaths.executable("avalo-test-worker"), ["--repair"])
    #expect(try await repair.ending() == .exit(1))
    #expect(repair.output == "avalo-test-worker: there is nothing to repair: this worker keeps no file\n")
    // Alone, without a service manager: it serves until it is told to stop.
    let alone = try await TestProcess.start(TestPaths.executable("avalo-test-worker"))
    try await alone.waitForOutput("worker ready")
    #expect(try await alone.stop(SIGINT) == .exit(0))
  }

  @Test func changesItsLogLevelWhileItRuns() async throws {
    let worker = try await WorkerProcess.start("avalo-test-worker")
    #expect(try await worker.ask("/log-level").body == "debug\n")
    #expect(try await worker.ask("PUT", "/log-level", body: "error").body == "error\n")
    #expect(try await worker.ask("PUT", "/log-level", body: "loud").status == 400)
    #expect(try await worker.process.stop() == .exit(0))
    #expect(!worker.process.output.contains("worker stopped"))
  }

  @Test func theNotifierSpeaksSdNotify() async throws {
    let worker = try await WorkerProcess.start("avalo-test-worker")
    #expect(try await worker.ask("POST", "/notify").body == "stored\n")
    try await worker.process.waitForNotification("FDSTOREREMOVE=1")
    let record = worker.process.record
    #expect(record.notified.contains("EXTEND_TIMEOUT_USEC=2000000"))
    #expect(record.notified.contains("MAINPID=\(worker.process.pid)"))
    #expect(record.notified.contains("STATUS=two lines"))
    let stored = try #require(record.notifications.first { $0.lines.contains("FDSTORE=1") })
    #expect(stored.lines.contains("FDNAME=client.0") && stored.descriptors.count == 2)
    for descriptor in stored.descriptors { close(descriptor) }
    #expect(try await worker.process.stop() == .exit(0))
  }
}
