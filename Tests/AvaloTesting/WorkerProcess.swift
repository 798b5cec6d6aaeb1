import CAvalo
import Foundation

/// One worker alone, with the test as its avalod: sockets bound before it starts, settings, a lifeline, a watchdog.
public final class WorkerProcess: Sendable {
  public let process: TestProcess
  public let folder: TestFolder
  private let lifeline: Int32

  /// Starts an executable of this package as slot 0 of the worker `avalo-NAME`.
  /// - `sockets`: names of Unix sockets, bound in the folder as `NAME.sock`.
  /// - `settings`: JSON.
  public static func start(
    _ executable: String, sockets: [String] = ["metrics"], settings: String = "{}", watchdog: Duration? = nil,
    environment: [String: String] = [:], in folder: TestFolder = TestFolder(), waitForReady: Bool = true
  ) async throws -> WorkerProcess {
    try folder.write(settings, to: "settings.json")
    var descriptors = try sockets.map { try listen("\(folder.path)/\($0).sock") }
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw TestProcessError("pipe: \(errno)") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var variables = TestProcess.plainEnvironment
    variables["AVALO_WORKER"] = executable.hasPrefix("avalo-") ? String(executable.dropFirst(6)) : executable
    variables["AVALO_SLOT"] = "0"
    variables["AVALO_SETTINGS"] = "\(folder.path)/settings.json"
    variables["AVALO_RUNTIME_DIR"] = folder.path
    variables["AVALO_STATE_DIR"] = folder.path
    variables["AVALO_CONFIG_DIR"] = folder.path
    variables["AVALO_LOG"] = "console"
    variables["AVALO_LOG_LEVEL"] = "debug"
    variables["LISTEN_FDS"] = "\(sockets.count)"
    variables["LISTEN_FDNAMES"] = sockets.joined(separator: ":")
    variables["LISTEN_PID"] = ""
    variables["AVALO_LIFELINE_FD"] = "\(3 + sockets.count)"
    if let watchdog {
      variables["WATCHDOG_USEC"] = "\(Int64(watchdog / .microseconds(1)))"
      variables["WATCHDOG_PID"] = ""
    }
    variables.merge(environment) { $1 }
    descriptors.append(ends[0])
    defer { for descriptor in descriptors { close(descriptor) } }
    let process: TestProcess
    do {
      process = try await TestProcess.start(
        TestPaths.executable(executable), environment: variables, notifySocket: "\(folder.path)/notify.sock",
        descriptors: descriptors)
    } catch {
      close(ends[1])
      throw error
    }
    let worker = WorkerProcess(process, folder, lifeline: ends[1])
    if waitForReady { try await process.waitForNotification("READY=1") }
    return worker
  }

  private init(_ process: TestProcess, _ folder: TestFolder, lifeline: Int32) {
    self.process = process
    self.folder = folder
    self.lifeline = lifeline
  }
  deinit { close(lifeline) }

  public func ask(_ path: String) async throws -> HTTPExchange.Answer { try await ask("GET", path) }
  public func ask(_ method: String, _ path: String, body: String = "") async throws -> HTTPExchange.Answer {
    try await HTTPExchange.send(method, path, to: .unix("\(folder.path)/metrics.sock"), body: body)
  }
  /// The value of one series on its page; `nil` when it is not there.
  public func metric(_ series: String) async throws -> Double? {
    for line in try await ask("/metrics").body.split(separator: "\n") where line.hasPrefix(series + " ") {
      return Double(line.dropFirst(series.utf8.count + 1))
    }
    return nil
  }
  /// What avalod's death does: the pipe's other end is gone.
  public func cutLifeline() {
    // A descriptor on something else stands in its place, so that `deinit` closes no stranger's.
    let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
    dup2(null, lifeline)
    close(null)
  }

  /// A bound, listening Unix socket.
  public static func listen(_ path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
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
    guard descriptor >= 0, result == 0, Glibc.listen(descriptor, 64) == 0 else {
      throw TestProcessError("\(path): \(String(cString: strerror(errno)))")
    }
    return descriptor
  }
}
