import AvaloTesting
import Foundation
import Testing

@testable import AvaloSupervisor

/// A good configuration comes into force and touches only what changed; a bad one changes nothing.
@Suite(.serialized) struct ReloadTests: ScriptWorkers {
  let folder = TestFolder()

  @Test func aReloadTouchesOnlyWhatChanged() async throws {
    let signalled = try manifest("signalled", Scripts.plain, "reload: signal\nsettings: {n: 1}")
    let restarted = try manifest("restarted", Scripts.plain, "instances: 2\nsettings: {n: 1}")
    let kept = try manifest("kept", Scripts.plain, "settings: {n: 1}")
    let same = try manifest("same", Scripts.plain, "reload: signal\nsettings: {n: 1}")
    let leaving = try manifest("leaving")
    let server = try await start([
      "workers.d/signalled.yaml": signalled, "workers.d/restarted.yaml": restarted, "workers.d/kept.yaml": kept,
      "workers.d/same.yaml": same, "workers.d/leaving.yaml": leaving,
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
    #expect(
      answer.body
        == #"{"result":"success","inForce":true,"generation":2,"problems":[],"notes":[],"restartNeeded":false}"#)

    let after = try await server.status()
    #expect(after.ready)
    #expect(after.generation == 2)
    #expect(after.workers.map(\.name) == ["added", "kept", "restarted", "same", "signalled"])
    #expect(pids(after, "kept") == pids(before, "kept"))
    #expect(pids(after, "signalled") == pids(before, "signalled"))
    #expect(server.process.output.contains("signalled read {\"n\":2}"))
    // The files that its settings name may have changed.
    #expect(pids(after, "same") == pids(before, "same"))
    #expect(server.process.output.contains("same read {\"n\":1}"))
    #expect(Set(pids(after, "restarted")).isDisjoint(with: pids(before, "restarted")))
    #expect(pids(after, "restarted").count == 2)
    #expect(!Scripts.isAlive(pids(before, "leaving")[0]))
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

  /// Nobody has to know by heart which setting needs a restart.
  @Test func tellsWhatWaitsForARestart() async throws {
    let rest = "reload: signal\nsettings_at_start: [size.max, file]\nsettings: {size: {max: 1, min: 1}, file: a}"
    let worker = try manifest("worker", Scripts.plain, rest)
    let deaf = try manifest("deaf", Scripts.plain, "reload: none\nsettings: {n: 1}")
    let server = try await start(["workers.d/worker.yaml": worker, "workers.d/deaf.yaml": deaf])
    func notes() async throws -> String {
      let answer = try await server.control("POST", "/reload")
      #expect(answer.status == 200)
      return String(try #require(answer.body.firstMatch(of: /"notes":(\[.*?\])/)).1)
    }
    // One that is in force at once.
    try folder.write(worker.replacing("min: 1", with: "min: 2"), to: "config/workers.d/worker.yaml")
    #expect(try await notes() == "[]")
    try folder.write(worker.replacing("max: 1", with: "max: 2"), to: "config/workers.d/worker.yaml")
    try folder.write(deaf.replacing("n: 1", with: "n: 2"), to: "config/workers.d/deaf.yaml")
    let both =
      #"["deaf: settings will be in force after: avaloctl restart deaf","worker: size.max will be in force after: avaloctl restart worker"]"#
    #expect(try await notes() == both)
    // It is still so after another reload, until the worker is started anew.
    #expect(try await notes() == both)
    #expect(try await server.control("POST", "/workers/worker/restart").status == 200)
    #expect(
      try await notes() == #"["deaf: settings will be in force after: avaloctl restart deaf"]"#)
    try await server.stop()
  }

  @Test func aBadConfigurationIsRefusedWhole() async throws {
    let good = try manifest("a", Scripts.plain, "settings: {n: 1}")
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
    #expect(try await server.metric("avalo_reload_last_success") == 0)

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

  @Test func settingsThatCannotBeWrittenRefuseTheReload() async throws {
    let text = try manifest("a", Scripts.plain, "reload: signal\nsettings: {n: 1}")
    let server = try await start(["workers.d/a.yaml": text])
    try folder.write(text.replacing("n: 1", with: "n: 2"), to: "config/workers.d/a.yaml")
    // As a full disk does: the draft cannot be written.
    try folder.write("", to: "run/settings/a.json.new/in-the-way")
    let refused = try await server.control("POST", "/reload")
    #expect(refused.status == 422)
    #expect(refused.body.contains("run/settings/a.json.new: "))
    #expect(refused.body.contains("\"generation\":1"))
    #expect(try folder.read("run/settings/a.json") == #"{"n":1}"#)
    // When there is room again, the same reload does what it says.
    try FileManager.default.removeItem(atPath: "\(folder.path)/run/settings/a.json.new")
    #expect(try await server.control("POST", "/reload").status == 200)
    #expect(try folder.read("run/settings/a.json") == #"{"n":2}"#)
    try await server.process.waitForOutput(#"a read {"n":2}"#)
    try await server.stop()
  }

  @Test func instancesComeAndGo() async throws {
    let text = try manifest(
      "a", Scripts.plain, "instances: 2\nsockets: {x: {listen: \"127.0.0.1:0\", per_instance: true}}")
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
    for pid in more.dropFirst() { #expect(!Scripts.isAlive(pid)) }
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
    // As systemd does when it is told that the old one is no longer kept.
    try await avalod.waitForNotification("FDSTOREREMOVE=1")
    let kept = try #require(avalod.record.notifications.first { $0.lines.contains("FDSTORE=1") })
    for descriptor in kept.descriptors { close(descriptor) }
    await #expect(throws: (any Error).self) {
      try await HTTPExchange.send("GET", "/readyz", to: .internet(host: before.host, port: before.port))
    }
    #expect(try await avalod.stop() == .exit(0))
  }

  @Test func aStormOfSignalsIsHarmless() async throws {
    // The script is written once: a program that is written anew is replaced.
    let text = try manifest("a", Scripts.plain, "reload: signal\nsettings: {n: 0}")
    let server = try await start(["workers.d/a.yaml": text])
    let pid = try await server.pid(of: "a")
    for round in 1...300 {
      if round % 50 == 0 {
        try folder.write(text.replacing("n: 0", with: "n: \(round)"), to: "config/workers.d/a.yaml")
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
    let manifest = try manifest("a", script + Scripts.plain, "check: [--check]\nsettings:\n  ping:\n    interval: good")
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
}
