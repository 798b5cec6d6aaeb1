import AvaloTesting
import CAvalo
import Foundation
import Testing

@testable import AvaloSupervisor

@Suite struct ChildProcessTests {
  let folder = TestFolder()

  /// Runs a process to its end on a thread that stays until then, and answers what it printed.
  func run(_ description: ChildProcess.Description) async throws -> (output: String, ending: Ending) {
    let path = "\(folder.path)/output"
    let output = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    defer { close(output) }
    var description = description
    description.standardOutput = output
    let ending = try await onThread { [description] in
      let process = try ChildProcess(description)
      var source = pollfd(fd: process.descriptor, events: Int16(POLLIN), revents: 0)
      while true {
        poll(&source, 1, 20_000)
        if let ending = process.reap() { return ending }
      }
    }
    return (try folder.read("output"), ending)
  }

  func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      Thread { continuation.resume(with: Swift.Result { try body() }) }.start()
    }
  }

  func shell(_ script: String) -> ChildProcess.Description {
    ChildProcess.Description(executable: "/bin/sh", arguments: ["-c", script], environment: ["PATH": "/usr/bin:/bin"])
  }

  @Test func passesDescriptorsFromThreeOnAndNothingElse() async throws {
    // Sources in each other's places, twice the same, and one that nobody passes.
    let one = open("/dev/zero", O_RDONLY)
    let two = open("/etc/passwd", O_RDONLY)
    let leaked = open("/etc/hosts", O_RDONLY)
    defer { for descriptor in [one, two, leaked] { close(descriptor) } }
    var description = shell(
      "for fd in /proc/self/fd/*; do echo ${fd##*/} $(readlink $fd); done 2>/dev/null | grep -v /proc/")
    description.descriptors = [two, one, two, 0, 1]
    let lines = Set(try await run(description).output.split(separator: "\n").map(String.init))
    #expect(lines.isSuperset(of: ["0 /dev/null", "3 /etc/passwd", "4 /dev/zero", "5 /etc/passwd"]))
    #expect(!lines.contains { $0.hasSuffix("/etc/hosts") })
    #expect(!lines.contains { Int($0.prefix { $0.isNumber }) ?? 0 > 10 })
  }

  @Test func completesTheProcessIDsInTheChild() async throws {
    var description = shell("echo $$ $LISTEN_PID $WATCHDOG_PID \"$LISTEN_PIDX\" $OTHER; env | wc -l")
    description.environment["LISTEN_PID"] = ""
    description.environment["WATCHDOG_PID"] = ""
    description.environment["LISTEN_PIDX"] = "x"
    description.environment["OTHER"] = "y"
    let words = try await run(description).output.split(whereSeparator: \.isWhitespace)
    #expect(words.count == 6)
    #expect(words[0] == words[1] && words[0] == words[2])
    #expect(words[3] == "x" && words[4] == "y")
  }

  @Test func startsWithPlainSignalsInAGroupOfItsOwn() async throws {
    // cat handles no signal itself.
    let status = try await run(shell("exec cat /proc/self/status")).output
    let signals = status.split(separator: "\n").filter { $0.hasPrefix("Sig") && !$0.hasPrefix("SigQ") }
    #expect(signals.count == 4)
    #expect(signals.allSatisfy { $0.hasSuffix("\t0000000000000000") }, "\(signals)")
    let group = try await run(shell("ps -o pgid= -p $$; echo $$")).output.split(whereSeparator: \.isWhitespace)
    #expect(group.count == 2 && group[0] == group[1])
  }

  @Test func setsLimitsAndClampsThoseItMayNotRaise() async throws {
    var description = shell("ulimit -Sn; ulimit -Hn; ulimit -c")
    description.limits = [
      ResourceLimit(name: "open_files", resource: Int32(RLIMIT_NOFILE.rawValue), value: 123),
      ResourceLimit(name: "core", resource: Int32(RLIMIT_CORE.rawValue), value: 0),
    ]
    #expect(try await run(description).output == "123\n123\n0\n")
    description.limits = [ResourceLimit(name: "open_files", resource: Int32(RLIMIT_NOFILE.rawValue), value: 1 << 40)]
    let clamped = try await run(description)
    #expect(clamped.ending == Ending(code: 0, wasKilled: false))
    var own = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &own)
    let soft = try #require(clamped.output.split(separator: "\n").first.flatMap { UInt64($0) })
    #expect(soft >= own.rlim_cur)
  }

  @Test func entersItsFolder() async throws {
    var description = shell("pwd")
    description.directory = "/usr"
    #expect(try await run(description).output == "/usr\n")
  }

  @Test(.enabled(if: Needs.root, "needs root")) func becomesAnotherUserWithItsGroups() async throws {
    var description = shell(
      "id -u; id -g; id -G; grep NoNewPrivs /proc/self/status >/dev/null; cat /proc/self/status | grep ^Uid")
    description.user = UserAccount(name: "x", user: 65534, group: 65533, groups: [65533, 1000, 1001])
    chmod(folder.path, 0o755)
    #expect(
      try await run(description).output.split(separator: "\n").prefix(3) == ["65534", "65533", "65533 1000 1001"])
  }

  @Test(arguments: [
    ("/no/such/program", nil, SpawnStep.execute, ENOENT), ("/etc/passwd", nil, .execute, EACCES),
    ("/bin/sh", "/no/such/folder", .directory, ENOENT),
  ])
  func saysInWhichStepItFailed(executable: String, directory: String?, step: SpawnStep, code: Int32) async throws {
    let before = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    let error = await #expect(throws: SpawnError.self) {
      try await onThread { try ChildProcess(.init(executable: executable, directory: directory)) }
    }
    #expect(error == SpawnError(executable: executable, step: step, code: code))
    // Other tests open some hundred files meanwhile; a leak of ours would be three each time.
    for _ in 0..<400 { _ = try? await onThread { try ChildProcess(.init(executable: "/no/such/program")) } }
    let after = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    #expect(after < before + 400)
  }

  @Test func tellsHowItEnded() async throws {
    #expect(try await run(shell("exit 7")).ending == Ending(code: 7, wasKilled: false))
    #expect(try await run(shell("kill -TERM $$")).ending == Ending(code: SIGTERM, wasKilled: true))
    #expect("\(Ending(code: SIGSEGV, wasKilled: true, dumpedCore: true))" == "signal SEGV, core dumped")
    #expect("\(Ending(code: 7, wasKilled: false))" == "exit 7")
  }

  @Test func whatItLeftInItsGroupEndsWithIt() async throws {
    let marker = "\(folder.path)/left"
    let output = try await run(shell("sleep 1000 >/dev/null & echo $!; echo >\(marker)")).output
    let pid = try #require(Int32(output.filter(\.isNumber)))
    // The child of a dead process is init's to reap; it is a zombie at most. A killed process takes a moment to end.
    let deadline = ContinuousClock.now + .seconds(20)
    while isAlive(pid), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
    #expect(!isAlive(pid))
  }

  private func isAlive(_ pid: Int32) -> Bool {
    let state = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8))?.split(separator: ")").last
    return state.map { !$0.hasPrefix(" Z") && !$0.hasPrefix(" X") } ?? false
  }

  @Test func diesWithTheThreadThatStartedIt() async throws {
    let process = try await onThread { try ChildProcess(.init(executable: "/bin/sleep", arguments: ["1000"])) }
    let ending = try await onThread {
      var source = pollfd(fd: process.descriptor, events: Int16(POLLIN), revents: 0)
      while true {
        poll(&source, 1, 20_000)
        if let ending = process.reap() { return ending }
      }
    }
    #expect(ending == Ending(code: SIGKILL, wasKilled: true))
  }
}
