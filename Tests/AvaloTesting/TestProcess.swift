import CAvalo
import Foundation
import Synchronization

/// A process of a test: started with its output caught and, if wanted, with a notify socket of which the test is the
/// service manager. It dies with the test process, at the latest; a test ends it by ``stop()``.
///
/// One thread of its own starts it and waits for what it writes, says and does, so that nothing here blocks the tests'
/// threads (and the kernel, which kills a child with the *thread* that started it, has one that stays).
public final class TestProcess: Sendable {
  public let pid: Int32
  private let state: Mutex<State>

  /// What the process did so far.
  public struct Record: Sendable {
    /// Standard output and error, together.
    public fileprivate(set) var output = ""
    public fileprivate(set) var notifications: [Notification] = []
    /// `nil` while it runs.
    public fileprivate(set) var ending: Ending?

    /// All lines it sent to its notify socket, in order.
    public var notified: [String] { notifications.flatMap { $0.lines } }
  }

  /// One datagram to NOTIFY_SOCKET.
  public struct Notification: Sendable {
    public var lines: [String]
    /// On the monotonic clock.
    public var nanoseconds: UInt64
    /// How many descriptors came with it (FDSTORE=1).
    public var descriptors: [Int32]
  }

  public enum Ending: Equatable, Sendable {
    case exit(Int32)
    case signal(Int32)
  }

  private struct State {
    var record = Record()
    var waiters: [Waiter] = []
    var descriptor: Int32 = -1
  }
  private struct Waiter {
    var what: String
    var deadline: UInt64
    var condition: @Sendable (Record) -> Bool
    var continuation: CheckedContinuation<Void, any Error>
  }

  // MARK: Starting

  /// Starts `executable`.
  /// - `environment`: all of it; see ``plainEnvironment``.
  /// - `notifySocket`: a path to bind; NOTIFY_SOCKET is set to it.
  /// - `descriptors`: become 3, 4, …; named by LISTEN_FDNAMES in `environment`, if they are sockets.
  public static func start(
    _ executable: String, _ arguments: [String] = [], environment: [String: String] = plainEnvironment,
    notifySocket: String? = nil, descriptors: [Int32] = [], directory: String? = nil
  ) async throws -> TestProcess {
    var environment = environment
    if let notifySocket { environment["NOTIFY_SOCKET"] = notifySocket }
    let launch = Launch(
      executable: executable, arguments: arguments, environment: environment, descriptors: descriptors,
      directory: directory, notifySocket: notifySocket)
    return try await withCheckedThrowingContinuation { continuation in
      let thread = Thread {
        do {
          let running = try launch.start()
          let process = TestProcess(running)
          continuation.resume(returning: process)
          TestProcess.watch(running, process.pid, { [weak process] body in process.map { body($0) } })
        } catch {
          continuation.resume(throwing: error)
        }
      }
      thread.name = "process"
      thread.start()
    }
  }

  /// This process's environment without what is meant for this process alone.
  public static var plainEnvironment: [String: String] {
    ProcessInfo.processInfo.environment.filter { name, _ in
      !name.hasPrefix("AVALO_") && !name.hasPrefix("LISTEN_") && !name.hasPrefix("WATCHDOG_")
        && !["NOTIFY_SOCKET", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "JOURNAL_STREAM"].contains(name)
    }
  }

  private init(_ running: Running) {
    pid = running.pid
    state = Mutex(State(descriptor: running.process))
  }

  deinit {
    // The thread that waits for its end reaps it.
    if state.withLock({ $0.record.ending == nil }) { kill(-pid, SIGKILL) }
  }

  // MARK: Using

  public var record: Record { state.withLock { $0.record } }
  public var output: String { record.output }
  public var isRunning: Bool { record.ending == nil }

  /// Sends a signal to the process alone.
  public func signal(_ number: Int32) {
    state.withLock { state in
      // Not reaped yet, so the number is still its own.
      if state.record.ending == nil { kill(pid, number) }
    }
  }

  /// Suspends until what the process did fulfils `condition`; throws, with all it said, when it ends or time is up before.
  public func wait(
    for what: String, within time: Duration = .seconds(20), until condition: @escaping @Sendable (Record) -> Bool
  ) async throws {
    let deadline = TestProcess.now + UInt64(time / .nanoseconds(1))
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      let result: Result<Void, any Error>? = state.withLock { state in
        if condition(state.record) { return .success(()) }
        if state.record.ending != nil { return .failure(TestProcessError(what: what, why: "it ended", state.record)) }
        state.waiters.append(Waiter(what: what, deadline: deadline, condition: condition, continuation: continuation))
        return nil
      }
      if let result { continuation.resume(with: result) }
    }
  }

  public func waitForOutput(_ text: String, within time: Duration = .seconds(20)) async throws {
    try await wait(for: "\"\(text)\" in its output", within: time) { $0.output.contains(text) }
  }

  /// Waits for a line of a notification, such as `READY=1`, `count` times in all.
  public func waitForNotification(_ line: String, count: Int = 1, within time: Duration = .seconds(20)) async throws {
    try await wait(for: "\(line) on its notify socket", within: time) { record in
      record.notified.count { $0 == line } >= count
    }
  }

  /// How it ended.
  public func ending(within time: Duration = .seconds(20)) async throws -> Ending {
    try await wait(for: "its end", within: time) { $0.ending != nil }
    return record.ending ?? .exit(-1)
  }

  /// Ends it politely, or else by force, and its group with it.
  @discardableResult
  public func stop(_ signal: Int32 = SIGTERM, within time: Duration = .seconds(30)) async throws -> Ending {
    self.signal(signal)
    do {
      return try await ending(within: time)
    } catch {
      self.signal(SIGKILL)
      _ = try? await ending(within: .seconds(10))
      throw error
    }
  }

  // MARK: The thread

  private static func watch(_ running: Running, _ pid: Int32, _ with: ((TestProcess) -> Void) -> Void?) {
    var running = running
    var isOpen = true
    while true {
      var sources = [
        pollfd(fd: isOpen ? running.output : -1, events: Int16(POLLIN), revents: 0),
        pollfd(fd: running.notify, events: Int16(POLLIN), revents: 0),
        pollfd(fd: running.process, events: Int16(POLLIN), revents: 0),
      ]
      poll(&sources, 3, 20)
      // Its end is looked at first and told last: what it said before is then complete.
      var ending = avalo_ending()
      let hasEnded = sources[2].revents != 0 && avalo_reap(running.process, pid, &ending) != 0
      let (text, isAtEnd) = running.readOutput()
      if isAtEnd { isOpen = false }
      let notifications = running.readNotifications()
      with { process in
        process.update { record in
          record.output += text
          record.notifications += notifications
          if hasEnded { record.ending = ending.killed != 0 ? .signal(ending.code) : .exit(ending.code) }
        }
      }
      if hasEnded { return running.close() }
    }
  }

  private func update(_ body: (inout Record) -> Void) {
    var done: [(Waiter, (any Error)?)] = []
    state.withLock { state in
      body(&state.record)
      var rest: [Waiter] = []
      for waiter in state.waiters {
        if waiter.condition(state.record) {
          done.append((waiter, nil))
        } else if state.record.ending != nil {
          done.append((waiter, TestProcessError(what: waiter.what, why: "it ended", state.record)))
        } else if TestProcess.now > waiter.deadline {
          done.append((waiter, TestProcessError(what: waiter.what, why: "time is up", state.record)))
        } else {
          rest.append(waiter)
        }
      }
      state.waiters = rest
    }
    for (waiter, error) in done {
      if let error { waiter.continuation.resume(throwing: error) } else { waiter.continuation.resume() }
    }
  }

  /// On the monotonic clock.
  public static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// What a test waited for did not come.
public struct TestProcessError: Error, CustomStringConvertible {
  public let description: String

  init(what: String, why: String, _ record: TestProcess.Record) {
    description = """
      waited for \(what): \(why)\(record.ending.map { " (\($0))" } ?? "")
      notified: \(record.notified)
      output:
      \(record.output)
      """
  }

  init(_ description: String) { self.description = description }
}

/// What a process is started with.
private struct Launch: Sendable {
  var executable: String
  var arguments: [String]
  var environment: [String: String]
  var descriptors: [Int32]
  var directory: String?
  var notifySocket: String?

  func start() throws -> Running {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw TestProcessError("pipe: \(errno)") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    let notify = try notifySocket.map { try TestNotifySocket.bind($0) } ?? -1
    var arguments = ([executable] + self.arguments).map { strdup($0) }
    var variables = environment.map { strdup("\($0.key)=\($0.value)") }
    defer {
      for text in arguments + variables { free(text) }
      close(ends[1])
    }
    arguments.append(nil)
    variables.append(nil)
    var spawned = avalo_spawned()
    let result = executable.withCString { path in
      descriptors.withUnsafeBufferPointer { descriptors in
        var description = avalo_spawn()
        description.path = path
        description.descriptors = descriptors.baseAddress
        description.descriptor_count = Int32(descriptors.count)
        description.standard_output = ends[1]
        description.standard_error = ends[1]
        return arguments.withUnsafeMutableBufferPointer { arguments in
          variables.withUnsafeMutableBufferPointer { variables in
            description.arguments = UnsafePointer(arguments.baseAddress)
            description.environment = UnsafePointer(variables.baseAddress)
            guard let directory else { return avalo_spawn_start(&description, &spawned) }
            return directory.withCString {
              description.directory = $0
              return avalo_spawn_start(&description, &spawned)
            }
          }
        }
      }
    }
    guard result == 0 else {
      let error = errno
      close(ends[0])
      if notify >= 0 { close(notify) }
      throw TestProcessError("\(executable): step \(spawned.failed_step.rawValue): \(String(cString: strerror(error)))")
    }
    return Running(pid: spawned.pid, process: spawned.descriptor, output: ends[0], notify: notify)
  }
}

/// The descriptors of a running process; its thread's alone.
private struct Running: Sendable {
  let pid: Int32
  let process: Int32
  let output: Int32
  let notify: Int32
  private var pending: [UInt8] = []

  init(pid: Int32, process: Int32, output: Int32, notify: Int32) {
    self.pid = pid
    self.process = process
    self.output = output
    self.notify = notify
  }

  mutating func readOutput() -> (String, isAtEnd: Bool) {
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    var isAtEnd = false
    while true {
      let count = read(output, &chunk, chunk.count)
      if count == 0 { isAtEnd = true }
      if count <= 0 { break }
      pending += chunk[..<count]
    }
    // A character may be cut in two.
    var end = pending.count
    while end > 0, end > pending.count - 4, String(validating: pending[..<end], as: UTF8.self) == nil { end -= 1 }
    defer { pending.removeFirst(end) }
    return (String(decoding: pending[..<end], as: UTF8.self), isAtEnd)
  }

  func readNotifications() -> [TestProcess.Notification] {
    guard notify >= 0 else { return [] }
    var found: [TestProcess.Notification] = []
    while let (text, descriptors) = TestNotifySocket.receive(notify) {
      found.append(
        TestProcess.Notification(
          lines: text.split(separator: "\n").map(String.init), nanoseconds: TestProcess.now, descriptors: descriptors))
    }
    return found
  }

  func close() {
    for descriptor in [process, output, notify] where descriptor >= 0 { Glibc.close(descriptor) }
  }
}

/// The service manager's side of sd_notify(3).
private enum TestNotifySocket {
  static func bind(_ path: String) throws -> Int32 {
    let descriptor = socket(
      AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    precondition(path.utf8.count < MemoryLayout.size(ofValue: address.sun_path), "socket path \(path)")
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    unlink(path)
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard descriptor >= 0, result == 0 else { throw TestProcessError("\(path): \(String(cString: strerror(errno)))") }
    return descriptor
  }

  /// The next message with the descriptors it carried, which are the caller's.
  static func receive(_ descriptor: Int32) -> (String, [Int32])? {
    var buffer = [UInt8](repeating: 0, count: 8192)
    var passed = [Int32](repeating: -1, count: 253)
    var count: Int32 = 0
    let length = avalo_receive_with_descriptors(descriptor, &buffer, buffer.count, &passed, &count)
    guard length >= 0 else { return nil }
    return (String(decoding: buffer[..<length], as: UTF8.self), Array(passed[..<Int(count)]))
  }
}
