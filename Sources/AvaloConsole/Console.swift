import AvaloSystem
import AvaloWorker
import NIOCore
import Synchronization

/// The operator's console: a page that shows what `avaloctl` shows, for whoever has an API key of the scope `console`. It
/// asks avalod's control socket and nothing else, only questions, and changes nothing. docs/console.md is for who uses it.
public final class Console: Worker {
  private let context: WorkerContext
  private let settings: SharedSettings
  private let server: HTTPServer
  /// Ends with ``drain(until:)``.
  private let watching: Task<Void, Never>

  private init(context: WorkerContext, settings: SharedSettings, server: HTTPServer, watching: Task<Void, Never>) {
    self.context = context
    self.settings = settings
    self.server = server
    self.watching = watching
  }

  public static func readSettings(_ reader: inout SettingsReader) -> ConsoleSettings { ConsoleSettings(&reader) }

  public static func start(_ context: WorkerContext, _ settings: ConsoleSettings) async throws -> Console {
    guard context.slot == 0 else {
      throw WorkerError("one instance knows who is signed in: a second one would not (instances: 1)")
    }
    let shared = SharedSettings(settings)
    let metrics = ConsoleMetrics(context.metrics)
    let control = ControlSocket(
      path: { shared.current.controlPath(in: context.runtimeDirectory) }, group: context.group, metrics: metrics)
    let access = Access(
      desk: KeyDesk(control), settings: shared, clock: context.monotonicClock, metrics: metrics, log: context.log)
    let watcher = Watcher(control, clock: context.monotonicClock, wall: context.wallClock, log: context.log)

    let routes = HTTPRoutes()
    PageFiles.add(to: routes)
    LoginRoutes(access: access, settings: shared).add(to: routes)
    ViewRoutes(access: access, control: control, watcher: watcher).add(to: routes)
    var bounds = HTTPServer.Bounds()
    bounds.bodyBytesMax = ConsoleLimits.bodyBytesMax
    bounds.connectionsMax = ConsoleLimits.connectionsMax
    bounds.readTimeMax = ConsoleLimits.readTimeMax
    bounds.answerTimeMax = ConsoleLimits.answerTimeMax
    bounds.idleTimeMax = ConsoleLimits.idleTimeMax
    let server = HTTPServer(routes: routes, group: context.group, bounds: bounds, log: context.log)
    let address = try await server.listen(descriptor: try context.socket("http"))
    if let address, let port = address.port { context.setStatus("at \(address.ipAddress ?? ""):\(port)") }
    // Cancelled by `drain`.
    let watching = Task { await watcher.run { shared.current.sampleInterval } }
    return Console(context: context, settings: shared, server: server, watching: watching)
  }

  /// Everything; who is signed in stays so.
  public func reload(_ settings: ConsoleSettings) async throws { self.settings.set(settings) }

  public func drain(until deadline: MonotonicInstant) async {
    watching.cancel()
    await server.stop(within: max(.zero, deadline - context.monotonicClock.now))
  }
}

/// The settings in force: a reload sets them, everybody reads them.
final class SharedSettings: Sendable {
  private let settings: Mutex<ConsoleSettings>
  init(_ settings: ConsoleSettings) { self.settings = Mutex(settings) }
  var current: ConsoleSettings { settings.withLock { $0 } }
  func set(_ settings: ConsoleSettings) { self.settings.withLock { $0 = settings } }
}
