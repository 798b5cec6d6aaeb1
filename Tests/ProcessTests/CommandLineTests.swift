import AvaloClient
import AvaloKeys
import AvaloTesting
import Foundation
import Testing

/// The operator's tool against a running server: what it says, and the exit codes that scripts rely on.
@Suite struct CommandLineTests {
  /// Runs avaloctl to its end.
  private func run(_ arguments: [String], on server: RunningServer) async throws -> (
    ending: TestProcess.Ending, output: String
  ) {
    var variables = TestProcess.plainEnvironment
    variables["AVALO_RUNTIME_DIR"] = "\(server.process.folder.path)/run"
    let process = try await TestProcess.start(TestPaths.executable("avaloctl"), arguments, environment: variables)
    return (try await process.ending(within: .seconds(60)), process.output)
  }

  @Test func asksAndSteersARunningServer() async throws {
    let server = try await RunningServer.start()
    func run(_ arguments: String...) async throws -> (ending: TestProcess.Ending, output: String) {
      try await self.run(arguments, on: server)
    }
    let status = try await run("status")
    #expect(status.ending == .exit(0))
    #expect(status.output.contains(/avalod .*, pid \d+, up \d+ s, ready: 3 workers/))
    #expect(status.output.contains(/gateway +0 +ready/))
    let json = try await run("status", "--json")
    #expect(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) is [String: Any])

    #expect(try await run("log-level") == (.exit(0), "info\n"))
    #expect(try await run("log-level", "debug") == (.exit(0), "debug\n"))
    let loud = try await run("log-level", "loud")
    #expect(loud.ending == .exit(64) && loud.output.contains("expected debug, info"))

    let pid = try await server.process.pid(of: "presence")
    #expect(try await run("restart", "presence.0") == (.exit(0), "restarted\n"))
    #expect(try await server.process.pid(of: "presence") != pid)
    let unknown = try await run("restart", "presense")
    #expect(unknown.ending == .exit(1))
    #expect(unknown.output == "avaloctl: there is no worker \"presense\"; did you mean \"presence\"?\n")
    #expect(try await run("restart", "presence/../x").ending == .exit(64))

    #expect(try await run("reload") == (.exit(0), "reloaded\n"))
    try server.process.folder.write(
      "workers: {gateway: {instances: many, settings: {nosuch: 1}}}\nlogg: 1\n", to: "config/avalo.yaml")
    let refused = try await run("reload")
    #expect(refused.ending == .exit(1))
    #expect(refused.output.contains("avalo.yaml:2: logg: unknown key; did you mean \"log\"?\n"))
    #expect(refused.output.contains("the configuration was refused; the old one stays in force"))
    // Everything at once: what is wrong with the file, and with a worker's own settings.
    let checked = try await run("check", "--json", "--config", "\(server.process.folder.path)/config")
    #expect(checked.ending == .exit(78))
    let answer = try JSONSerialization.jsonObject(with: Data(checked.output.utf8)) as? [String: Any]
    #expect(answer?["good"] as? Bool == false)
    let keys = (answer?["problems"] as? [[String: Any]])?.compactMap { $0["key"] as? String }
    #expect(Set(keys ?? []) == ["logg", "workers.gateway.instances", "workers.gateway.settings.nosuch"])
    try await server.stop()
    #expect(try await run("status").ending == .exit(69))
  }

  /// `control.mode` and `control.group` decide, not what somebody did to the file.
  @Test(.enabled(if: Needs.root && Needs.tool("setpriv"), "needs root, to be somebody else"))
  func whoMayNotAskIsToldWhoMay() async throws {
    let server = try await RunningServer.start()
    let socket = "\(server.process.folder.path)/run/control.sock"
    chmod(server.process.folder.path, 0o711)
    func ask() async throws -> (TestProcess.Ending, String) {
      let process = try await TestProcess.start(
        try #require(Needs.path(of: "setpriv")),
        [
          "--reuid", "65534", "--regid", "65534", "--clear-groups", "/proc/self/fd/3", "avaloctl", "status",
          "--control",
          socket,
        ],
        descriptors: [try Self.opened(TestPaths.executable("avaloctl"))])
      return (try await process.ending(), process.output)
    }
    #expect(
      try await ask() == (.exit(1), "avaloctl: You may not use \(socket). Ask as avalod's own user, or as root\n"))
    // A socket that everybody may open is no right yet.
    chmod(socket, 0o666)
    #expect(
      try await ask() == (
        .exit(1), "avaloctl: only root and avalod's own user may ask here; control.mode can let others\n"
      ))
    // That is for the configuration to say.
    let (group, address) = (65534, server.process.folder)
    try address.write("control: {mode: \"0660\", group: nogroup}\n", to: "config/avalo.yaml")
    #expect(try await run(["reload"], on: server).ending == .exit(0))
    var status = stat()
    #expect(stat(socket, &status) == 0 && status.st_gid == group && status.st_mode & 0o777 == 0o660)
    #expect(try await ask().0 == .exit(0))
    try address.write("control: {mode: \"0600\"}\n", to: "config/avalo.yaml")
    #expect(try await run(["reload"], on: server).ending == .exit(0))
    #expect(try await ask().0 == .exit(1))
    try await server.stop()
  }

  /// The folder of the build may be closed to others: the program is passed by its descriptor.
  private static func opened(_ path: String) throws -> Int32 {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    try #require(descriptor >= 0)
    return descriptor
  }

  @Test func keysAreMadeUsedAndRevokedWithoutARestart() async throws {
    let server = try await RunningServer.start()
    let config = server.process.folder.path
    func keys(_ arguments: String...) async throws -> (ending: TestProcess.Ending, output: String) {
      try await run(["keys"] + arguments + ["--config", config], on: server)
    }
    let made = try await keys("new", "second", "--scope", "publish")
    #expect(made.ending == .exit(0))
    let key = try #require(made.output.split(separator: "\n").first { $0.hasPrefix("avk_") })
    #expect(try await keys("new", "second").ending == .exit(1))
    #expect(try await keys("new", "third", "--scope", "everything").ending == .exit(64))
    #expect(try await keys().output.contains(/second +second +publish +[0-9a-f]{8}… +second/))

    let backend = CallableClient(server.endpoint, credential: String(key))
    func publishes(_ id: String) async -> Bool {
      (try? await backend.call("publishRealtimeEvent", Load.event(id, to: "ann"))) != nil
    }
    #expect(await !publishes("early"))
    #expect(try await run(["reload"], on: server).ending == .exit(0))
    #expect(await publishes("with the second key"))
    #expect(
      try await keys("revoke", "second") == (
        .exit(0), "revoked second; in a running server it comes into force with: avaloctl reload\n"
      ))
    #expect(try await keys("revoke", "second").ending == .exit(1))
    #expect(try await run(["reload"], on: server).ending == .exit(0))
    #expect(await !publishes("late"))

    // A file that settings name is looked at before anything changes.
    try server.process.folder.write("[{]", to: "api-keys.json")
    let refused = try await run(["reload"], on: server)
    #expect(refused.ending == .exit(1))
    #expect(refused.output.contains("workers.gateway.settings.api_keys_file: \(config)/api-keys.json: "))
    #expect(try await server.process.status().generation == 3)
    _ = try await server.backend().call("publishRealtimeEvent", Load.event("with the first", to: "ann"))
    try await server.stop()
  }

  @Test func aSandboxIsOpenWhereProductionIsNot() async throws {
    let command = "echo at $AVALO_URL in $AVALO_CONFIG_DIR; while [ -d $AVALO_CONFIG_DIR ]; do sleep 0.05; done"
    let sandbox = try await TestProcess.start(
      TestPaths.executable("avaloctl"),
      ["sandbox", "--template", "\(TestPaths.root)/config", "--", "/bin/sh", "-c", command])
    let place = /at http:\/\/127\.0\.0\.1:(\d+) in (\/.*)\n/
    try await sandbox.wait(for: "its start", within: .seconds(60)) { $0.output.contains("/config\n") }
    let said = try #require(sandbox.output.firstMatch(of: place))
    let port = try #require(Int(said.1))
    let keys = KeyFolder(String(said.2))
    let token = UserToken(user: "ann", chats: ["c1"], issuedAt: Int64(time(nil)), id: "t").signed(
      with: try keys.secret())

    let ann = CallableClient(.tcp(host: "127.0.0.1", port: port), credential: token)
    let subscribed = try await ann.call("subscribeToRealtimeEventsV1", JSONText(validating: "{}"))
    #expect(subscribed.read { $0["enabled"]?.boolean } == true)
    let published = try await ann.call(
      "publishRealtimeEvent",
      JSONText(validating: #"{"type":"chat_message","topic":"chat:c1","payload":{"text":"hello"}}"#))
    #expect(published.read { $0["success"]?.boolean } == true)
    await ann.close()
    let preflight = try await HTTPExchange.send(
      "OPTIONS", "/publishRealtimeEvent", to: .internet(host: "127.0.0.1", port: port),
      headers: ["Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"])
    #expect(preflight.headers["access-control-allow-origin"] == "http://localhost:3000")

    // Again changes nothing.
    let config = String(said.2)
    let before = try String(contentsOfFile: "\(config)/avalo.yaml", encoding: .utf8)
    let again = try await TestProcess.start(
      TestPaths.executable("avaloctl"), ["init", "--dev", "--config", config])
    #expect(try await again.ending() == .exit(0))
    #expect(again.output == "\(config) is ready; nothing was changed\n")
    #expect(try String(contentsOfFile: "\(config)/avalo.yaml", encoding: .utf8) == before)
    sandbox.signal(SIGTERM)
    _ = try await sandbox.ending()
  }

  @Test(arguments: [SIGTERM, SIGKILL]) func aSandboxLeavesNoServerBehind(signal: Int32) async throws {
    // Ends when it is told, or with the sandbox's folder.
    let command = """
      trap 'echo told; exit 0' TERM
      echo at $AVALO_RUNTIME_DIR
      while [ -d $AVALO_RUNTIME_DIR ]; do sleep 0.05; done
      """
    let sandbox = try await TestProcess.start(
      TestPaths.executable("avaloctl"),
      ["sandbox", "--template", "\(TestPaths.root)/config", "--", "/bin/sh", "-c", command])
    try await sandbox.wait(for: "its start", within: .seconds(60)) { $0.output.contains(/at \/.*\/run\n/) }
    let folder = try #require(sandbox.output.firstMatch(of: /at (\/.*)\/run\n/)).1
    let lock = try String(contentsOfFile: "\(folder)/run/avalod.lock", encoding: .utf8)
    let avalod = try #require(Int32(lock.filter(\.isNumber)))
    sandbox.signal(signal)
    #expect(try await sandbox.ending() == (signal == SIGKILL ? .signal(SIGKILL) : .exit(128 + SIGTERM)))
    #expect(sandbox.output.contains("told") == (signal == SIGTERM))
    try await waitUntil("no server is left") { kill(avalod, 0) != 0 || Self.isZombie(avalod) }
    #expect(FileManager.default.fileExists(atPath: String(folder)) == (signal == SIGKILL))
    try? FileManager.default.removeItem(atPath: String(folder))
  }

  private static func isZombie(_ pid: Int32) -> Bool {
    let stat = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
    return stat.split(separator: ")").last?.hasPrefix(" Z") == true
  }
}
