import Foundation

/// A real avalod for a test: in a folder of its own, on free ports, with the test as its service manager. What it does
/// is seen as an operator sees it: its log, its notifications, its control socket, its metrics.
///
///     let server = try await ServerProcess.start(.shipped())
///     let (host, port) = try await server.address(of: "client", worker: "gateway")
///     …
///     try await server.stop()
public final class ServerProcess: Sendable {
  /// Holds `config/`, `run/` and `state/`.
  public let folder: TestFolder
  public let process: TestProcess

  public enum Configuration: Sendable {
    /// The repository's own `config/`, with all workers; `document` in the place of its `avalo.yaml`.
    case shipped(document: String? = nil)
    /// Files by their names within the folder, such as `workers.d/shell.yaml`.
    case files([String: String])
  }

  /// Starts avalod and, if so wished, waits until it says READY.
  /// - `environment`: variables besides the plain ones, such as `AVALO_WORKERS__GATEWAY__INSTANCES`.
  /// - `folder`: one that another run left, to start again where it ended; its `config/` is kept if `configuration` is
  ///   `nil`.
  public static func start(
    _ configuration: Configuration?, environment: [String: String] = [:], arguments: [String] = [],
    in folder: TestFolder = TestFolder(), descriptors: [Int32] = [], waitForReady: Bool = true,
    within time: Duration = .seconds(60)
  ) async throws -> ServerProcess {
    switch configuration {
    case .shipped(let document):
      try? FileManager.default.removeItem(atPath: "\(folder.path)/config")
      try folder.copy("\(TestPaths.root)/config", to: "config")
      if let document { try folder.write(document, to: "config/avalo.yaml") }
    case .files(let files):
      try FileManager.default.createDirectory(
        atPath: "\(folder.path)/config/workers.d", withIntermediateDirectories: true)
      for (name, text) in files { try folder.write(text, to: "config/\(name)") }
    case nil: break
    }
    var variables = TestProcess.plainEnvironment
    variables["AVALO_RUNTIME_DIRECTORY"] = "\(folder.path)/run"
    variables["AVALO_STATE_DIRECTORY"] = "\(folder.path)/state"
    variables["AVALO_ADMIN__LISTEN"] = "127.0.0.1:0"
    if case .shipped? = configuration {
      variables["AVALO_WORKERS__GATEWAY__SOCKETS__CLIENT__LISTEN"] = "127.0.0.1:0"
    }
    variables.merge(environment) { $1 }
    let process = try await TestProcess.start(
      TestPaths.executable("avalod"), ["--config", "\(folder.path)/config"] + arguments, environment: variables,
      notifySocket: "\(folder.path)/notify.sock", descriptors: descriptors)
    let server = ServerProcess(folder: folder, process: process)
    if waitForReady { try await process.waitForNotification("READY=1", within: time) }
    return server
  }

  private init(folder: TestFolder, process: TestProcess) {
    self.folder = folder
    self.process = process
  }

  /// SIGTERM, and the end; by force when it does not come.
  @discardableResult
  public func stop(within time: Duration = .seconds(60)) async throws -> TestProcess.Ending {
    try await process.stop(within: time)
  }

  // MARK: Asking

  /// What `GET /status` says.
  public struct Status: Decodable, Sendable {
    public var state: String
    public var ready: Bool
    public var status: String
    public var generation: Int
    public var admin: [String]
    public var workers: [Worker]

    public struct Worker: Decodable, Sendable {
      public var name: String
      public var sockets: [String: [String]]
      public var instances: [Instance]
    }
    public struct Instance: Decodable, Sendable {
      public var slot: Int
      public var place: Int
      /// `serving`, `succeeding` or `leaving`.
      public var role: String
      /// Whether a reload would replace it.
      public var outdated: Bool
      public var state: String
      public var pid: Int32?
      public var restarts: Int
      public var lastEnding: String?
      public var status: String?
    }

    public func instances(of worker: String) -> [Instance] { workers.first { $0.name == worker }?.instances ?? [] }
  }

  public func status() async throws -> Status {
    let answer = try await control("GET", "/status")
    return try JSONDecoder().decode(Status.self, from: Data(answer.body.utf8))
  }

  /// Asks on the control socket.
  public func control(
    _ method: String, _ path: String, body: String = "", within time: Duration = .seconds(60)
  ) async throws -> HTTPExchange.Answer {
    try await HTTPExchange.send(method, path, to: .unix("\(folder.path)/run/control.sock"), body: body, within: time)
  }

  /// Asks on the admin listener.
  public func admin(_ path: String) async throws -> HTTPExchange.Answer {
    let (host, port) = try ServerProcess.parse(try await status().admin.first)
    return try await HTTPExchange.send("GET", path, to: .internet(host: host, port: port))
  }

  public func metrics() async throws -> String { try await admin("/metrics").body }

  /// The value of a sample, by its name with labels as the page has them: `avalo_worker_up{worker="a",slot="0"}`.
  public func metric(_ sample: String) async throws -> Double? {
    for line in try await metrics().split(separator: "\n") where line.hasPrefix(sample + " ") {
      return Double(line.dropFirst(sample.utf8.count + 1))
    }
    return nil
  }

  /// Where clients reach a worker's socket.
  public func address(of socket: String, worker: String) async throws -> (host: String, port: Int) {
    let worker = try await status().workers.first { $0.name == worker }
    return try ServerProcess.parse(worker?.sockets[socket]?.first)
  }

  /// The process of a slot; `nil` between two.
  public func pid(of worker: String, slot: Int = 0) async throws -> Int32? {
    try await status().instances(of: worker).first { $0.slot == slot }?.pid
  }

  /// Asks again and again until it is so: for what only the status tells. What the log or a notification tells is waited
  /// for by ``process``.
  public func wait(
    for what: String, within time: Duration = .seconds(20), until condition: @Sendable (Status) -> Bool
  ) async throws {
    let deadline = TestProcess.now + UInt64(time / .nanoseconds(1))
    while true {
      let status = try await status()
      if condition(status) { return }
      guard TestProcess.now < deadline else {
        throw TestProcessError("waited for \(what): time is up\n\(status)\n\(process.output)")
      }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  private static func parse(_ address: String?) throws -> (host: String, port: Int) {
    guard let address, let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...])
    else { throw TestProcessError("no address: \(address ?? "nothing")") }
    return (address[..<colon].filter { $0 != "[" && $0 != "]" }, port)
  }
}
