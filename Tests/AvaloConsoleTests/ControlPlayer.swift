import AvaloMetrics
import AvaloSystem
import AvaloTesting
import Logging
import NIOPosix
import Synchronization

@testable import AvaloConsole

/// avalod as the console sees it: a control socket that answers what a test says.
final class ControlPlayer: Sendable {
  let folder = TestFolder()
  let routes = HTTPRoutes()
  private let server: HTTPServer
  /// What was asked, with the query.
  let asked = Mutex<[String]>([])
  var path: String { "\(folder.path)/control.sock" }

  init() async throws {
    server = HTTPServer(routes: routes, group: MultiThreadedEventLoopGroup.singleton, log: Logger(label: "control"))
    try await server.listen(unixSocket: path)
  }

  func answer(_ path: String, _ body: @escaping @Sendable () -> HTTPResponse) {
    routes.add(prefix: path) { request in
      self.asked.withLock { $0.append(request.query.isEmpty ? request.path : "\(request.path)?\(request.query)") }
      return body()
    }
  }

  func answer(_ path: String, _ json: String, status: Int = 200) {
    answer(path) { .json(Array(json.utf8), status: status) }
  }

  /// One key is in force: that of this text.
  func know(key: String, scopes: String = #"["console"]"#) {
    let hash = KeyDesk.hash(of: key)
    routes.add("GET", "/workers/gateway/api-keys") { request in
      let known = request.parameter("hash") == hash
      return .json(
        Array(
          (known ? #"{"keys":[{"id":"mia","name":"Mia","owner":"mia","scopes":\#(scopes)}]}"# : #"{"keys":[]}"#).utf8))
    }
  }

  func stop() async { await server.stop(within: .seconds(1)) }

  /// A console's questions to it.
  func control() -> ControlSocket {
    let path = path
    return ControlSocket(
      path: { path }, group: MultiThreadedEventLoopGroup.singleton, metrics: ConsoleMetrics(MetricsRegistry()))
  }

  static func settings() -> SharedSettings {
    SharedSettings(SettingsReader.read(.emptySection) { ConsoleSettings(&$0) }.result)
  }

  func access(clock: MonotonicClock, settings: SharedSettings = settings()) -> Access {
    Access(
      desk: KeyDesk(control()), settings: settings, clock: clock, metrics: ConsoleMetrics(MetricsRegistry()),
      log: Logger(label: "console"))
  }
}
