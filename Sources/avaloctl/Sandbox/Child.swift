import Glibc

/// A program started by this one, waited for or stopped; never left behind.
struct Child {
  let pid: pid_t

  /// Starts a program on our terminal, which has its Ctrl-C; its output goes where ours goes.
  static func spawn(_ path: String, _ arguments: [String], environment: [String: String] = [:]) throws -> Child {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // What we ignore is not ignored in it.
    var defaults = sigset_t()
    sigemptyset(&defaults)
    sigaddset(&defaults, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    // The thread that spawns may have all signals blocked, as libdispatch's have.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

    var argv = ([path] + arguments).map { strdup($0) } + [nil]
    var envp = Child.environment(with: environment).map { strdup($0) } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    var pid: pid_t = 0
    let result = posix_spawnp(&pid, path, nil, &attributes, &argv, &envp)
    guard result == 0 else { throw ToolError.failed("cannot run \(path): \(String(cString: strerror(result)))") }
    return Child(pid: pid)
  }

  /// Its exit code as a shell would say it, or `nil` while it runs.
  func exitCode() -> Int32? {
    var status: Int32 = 0
    guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
    let signal = status & 0x7F
    return signal == 0 ? status >> 8 & 0xFF : 128 + signal
  }

  /// Waits for its end, at most so long; `nil` when it still runs then.
  func ended(within limit: Duration = .seconds(1 << 30)) async throws -> Int32? {
    let deadline = ContinuousClock.now + limit
    while true {
      if let code = exitCode() { return code }
      if ContinuousClock.now > deadline { return nil }
      // There is no waiting for a process without a thread of its own; this is short enough not to be felt.
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  /// Asks it to end, and makes it when it does not.
  func stop(within limit: Duration) async {
    kill(pid, SIGTERM)
    // Cancelling does not spare it.
    let ended = await Task { try await self.ended(within: limit) }.result
    if case .success(.some) = ended { return }
    kill(pid, SIGKILL)
    waitpid(pid, nil, 0)
  }

  static func environment(with changes: [String: String]) -> [String] {
    var variables: [String] = []
    var place = environ
    while let entry = place.pointee {
      let text = String(cString: entry)
      if changes[String(text.prefix { $0 != "=" })] == nil { variables.append(text) }
      place += 1
    }
    return variables + changes.map { "\($0.key)=\($0.value)" }
  }
}
