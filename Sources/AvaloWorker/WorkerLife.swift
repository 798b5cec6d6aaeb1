import AvaloMetrics
import AvaloSystem
import Glibc
import Logging
import NIOCore
import NIOPosix

/// One worker process from its start to its exit: turns signals and the worker's own progress into events and takes them
/// one by one. What to do on which is ``WorkerPhase``'s to know.
final class WorkerLife<W: Worker>: Sendable {
  private let identity: WorkerIdentity
  private let context: WorkerContext
  private let heartbeat: Heartbeat
  private let server: HTTPServer
  private let metricsSockets: [Int32]
  private let health = Health()
  private let log: Logger
  private let events: AsyncStream<WorkerEvent<W>>
  private let post: AsyncStream<WorkerEvent<W>>.Continuation
  private let signals: AsyncStream<Int32>

  init(identity: WorkerIdentity, sockets: [InheritedSocket], log: Logger) throws {
    self.identity = identity
    self.log = log
    (events, post) = AsyncStream.makeStream(of: WorkerEvent<W>.self)
    signals = try Signals.stream([SIGTERM, SIGINT, SIGHUP])

    let metrics = MetricsRegistry()
    metrics.bootstrap()
    metrics.addProcessMetrics()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let liveness = Liveness()
    let routes = HTTPRoutes()
    let heartbeat = Heartbeat(notifier: ServiceNotifier(), eventLoop: group.next(), liveness: liveness, log: log)
    self.heartbeat = heartbeat
    var byName: [String: [Int32]] = [:]
    for socket in sockets { byName[socket.name, default: []].append(socket.descriptor) }
    metricsSockets = byName.removeValue(forKey: "metrics") ?? []
    context = WorkerContext(
      name: identity.name, slot: identity.slot, draining: { identity.draining() },
      incarnation: .random(in: 1 ... .max),
      runtimeDirectory: identity.runtimeDirectory, stateDirectory: identity.stateDirectory,
      configDirectory: identity.configDirectory, sockets: byName, log: log, metrics: metrics, group: group,
      eventLoop: group.next(), routes: routes, liveness: liveness, monotonicClock: .system, wallClock: .system,
      setStatus: { text in heartbeat.say { $0.status(text) } })
    server = HTTPServer(routes: routes, group: group, log: log)
  }

  func live(_ settings: W.Settings) async -> Never {
    addRoutes()
    do {
      for socket in metricsSockets { try await server.listen(descriptor: socket) }
    } catch {
      log.error("cannot serve metrics", metadata: ["error": "\(error)"])
      exit(ExitCode.failure)
    }
    // Both end with the process.
    Task { for await signal in signals { post.yield(.signal(signal)) } }
    Task { post.yield(.started(await Result { try await W.start(context, settings) })) }

    var phase = WorkerPhase<W>.starting(reload: false)
    for await event in events {
      for action in phase.take(event) { await act(action) }
    }
    preconditionFailure("the events never end")
  }

  private func act(_ action: WorkerAction<W>) async {
    switch action {
    case .sayReady:
      health.set(.ready)
      heartbeat.start()
      heartbeat.say { $0.ready() }
      log.notice("worker ready", metadata: ["pid": "\(getpid())"])
    case .reload(let worker): reload(worker)
    case .sayReloaded: heartbeat.say { $0.ready() }
    case .drain(let worker): drain(worker)
    case .fail(let error):
      log.error("worker cannot start", metadata: ["error": "\(error)"])
      await leave(ExitCode.failure)
    case .giveUp:
      log.warning("drain did not end in time")
      await leave(ExitCode.failure)
    case .hurry:
      log.warning("told to stop twice: not waiting for the drain")
      await leave(ExitCode.failure)
    case .exit:
      log.notice("worker stopped")
      await leave(0)
    }
  }

  private func reload(_ worker: W) {
    heartbeat.say { $0.reloading() }
    // Ends with an event, or with the process.
    Task {
      switch identity.settings(of: W.self) {
      case .failure(let error):
        for problem in error.problems { log.error("wrong setting; the old ones stay", metadata: problem.facts) }
      case .success(let settings):
        do {
          try await worker.reload(settings)
          log.notice("settings reloaded")
        } catch {
          log.error("reload failed; the old settings stay", metadata: ["error": "\(error)"])
        }
      }
      post.yield(.reloaded)
    }
  }

  private func drain(_ worker: W) {
    health.set(.draining)
    heartbeat.say { $0.stopping(status: "draining") }
    log.notice("draining", metadata: ["seconds": "\(identity.drainTime.inSeconds)"])
    let time = identity.drainTime - min(WorkerLimits.drainTimeReserve, identity.drainTime / 2)
    let deadline = MonotonicClock.system.now + time
    // Both end with the process.
    Task {
      await worker.drain(until: deadline)
      post.yield(.drained)
    }
    context.eventLoop.scheduleTask(in: .nanoseconds(time.nanoseconds)) { [post] in post.yield(.deadlinePassed) }
  }

  private func leave(_ code: Int32) async -> Never {
    await server.stop(within: WorkerLimits.goodbyeTimeMax)
    await heartbeat.flush()
    exit(code)
  }

  private func addRoutes() {
    let (metrics, health, loop) = (context.metrics, health, context.eventLoop)
    context.routes.add("GET", "/metrics") { _ in
      HTTPResponse(headers: ["Content-Type": PrometheusText.contentType], body: metrics.render())
    }
    context.routes.add("GET", "/healthz") { _ in
      // Through the worker's loop: one that does not turn answers nothing.
      guard (try? await loop.submit {}.get()) != nil else { return .text("the loop is gone", status: 503) }
      let state = health.state
      return .text(state.rawValue, status: state == .ready ? 200 : 503)
    }
    context.routes.add("GET", "/log-level") { _ in .text(Logs.level.rawValue) }
    context.routes.add("PUT", "/log-level") { [log] request in
      let name = String(decoding: request.body, as: UTF8.self).filter { !$0.isWhitespace }
      guard let level = Logs.level(named: name) else {
        return .text("expected debug, info, notice, warning or error, not \"\(name)\"", status: 400)
      }
      Logs.level = level
      log.notice("log level changed", metadata: ["level": "\(level.rawValue)"])
      return .text(level.rawValue)
    }
  }
}

extension Result where Failure == any Error {
  fileprivate init(_ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}
