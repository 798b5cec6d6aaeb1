import AvaloCore
import AvaloLink
import AvaloMetrics
import AvaloStore
import AvaloStoreSQLite
import AvaloSystem
import AvaloWire
import AvaloWorker
import Dispatch
import Glibc
import Logging
import NIOCore

/// The worker that owns the event log: append, route, replay, acknowledge, expire.
///
/// Four threads. The engine owns the log and decides; beside it one reads pages and one counts what is unread; the worker's
/// loop only frames.
public final class Scheduler: Worker {
  private let engine: Engine
  private let reader: PageReader
  private let readStates: ReadStateDesk
  private let context: WorkerContext
  private let links: NIOLoopBound<GatewayLinks>
  private let server: NIOLoopBound<LinkServer>

  private init(
    engine: Engine, reader: PageReader, readStates: ReadStateDesk, context: WorkerContext,
    links: NIOLoopBound<GatewayLinks>, server: NIOLoopBound<LinkServer>
  ) {
    self.engine = engine
    self.reader = reader
    self.readStates = readStates
    self.context = context
    self.links = links
    self.server = server
  }

  public static func readSettings(_ reader: inout SettingsReader) -> SchedulerSettings {
    SchedulerSettings.read(&reader)
  }

  public static func start(_ context: WorkerContext, _ settings: SchedulerSettings) async throws -> Scheduler {
    let metrics = SchedulerMetrics(context.metrics)
    let engine = Engine(
      settings, metrics: metrics, wall: context.wallClock, monotonic: context.monotonicClock, log: context.log)
    let reader = PageReader(settings, metrics: metrics, wall: context.wallClock, log: context.log)
    let readStates = ReadStateDesk(
      metrics: metrics, wall: context.wallClock, monotonic: context.monotonicClock, log: context.log)
    let opened = try open(settings, context)
    context.log.notice(
      "event log open",
      metadata: [
        "durability": "\(settings.durability.wireName)", "generation": "\(opened.log.identity.generation)",
      ])
    let eventLoop = context.eventLoop
    let links = try await eventLoop.submit {
      let links = GatewayLinks(engine: engine, reader: reader, readStates: readStates, metrics: metrics)
      links.start(on: eventLoop)
      return NIOLoopBound(links, eventLoop: eventLoop)
    }.get()
    let core = HandedOver(
      try SchedulerCore(
        log: opened.log, settings: settings, metrics: metrics, logger: context.log, at: engine.now))
    let countReader = HandedOver(try opened.log.reader())
    let key = opened.log.identity.idempotencyKey
    try engine.start(core) { output in eventLoop.execute { links.value.send(output) } }
    try reader.start(HandedOver(opened.reader)) { pages in eventLoop.execute { links.value.send(pages) } }
    try readStates.start(countReader, key: key) { answers in eventLoop.execute { links.value.send(answers) } }
    let descriptor = try context.socket("link")
    let server = try await eventLoop.submit {
      let server = LinkServer(
        listening: descriptor, on: eventLoop,
        welcome: { hello in
          guard LinkRole.all.contains(hello.role) else {
            return .failure(
              Failed(.permissionDenied, "only gateways and plugins link to the scheduler, not \(hello.role)"))
          }
          return .success(Welcome(generation: engine.generation, credit: SchedulerLimits.linkCredit))
        }, delegate: links.value, log: context.log)
      return NIOLoopBound(server, eventLoop: eventLoop)
    }.get()
    try await eventLoop.flatSubmit { server.value.start() }.get()
    context.liveness.add("engine") { engine.hasTurned() }
    ControlRoutes(
      engine: engine, pages: ControlPages(HandedOver(opened.pages), wall: context.wallClock)
    ).add(to: context.routes)
    if settings.durability != .memory {
      let file = settings.logFile(in: context.stateDirectory)
      Snapshot(of: file.path, log: context.log) { try file.snapshot(to: $0) }.add(to: context.routes)
    }
    return Scheduler(
      engine: engine, reader: reader, readStates: readStates, context: context, links: links, server: server)
  }

  private static func open(
    _ settings: SchedulerSettings, _ context: WorkerContext
  ) throws(LogError) -> (log: any EventLog, reader: any EventLogReader, pages: any EventLogReader) {
    let now = context.wallClock.milliseconds
    let log: any EventLog
    if settings.durability == .memory {
      log = MemoryEventLog(nowMilliseconds: now)
    } else {
      log = try SQLiteEventLog(settings.logFile(in: context.stateDirectory), nowMilliseconds: now)
    }
    return (log, try log.reader(), try log.reader())
  }

  public static func repair(
    _ settings: SchedulerSettings, stateDirectory: String, wallClock: WallClock
  ) throws -> String {
    guard settings.durability != .memory else {
      throw WorkerError("there is nothing to repair: with `durability: memory` the log has no file")
    }
    let file = settings.logFile(in: stateDirectory)
    switch try file.repair(nowMilliseconds: wallClock.milliseconds) {
    case .nothing: return "there is no \(file.path): the next start begins an empty log"
    case .sound: throw WorkerError("\(file.path) is sound: nothing was changed")
    case .movedAside(let aside, let detail):
      // A new log's generation is the second it begins in: let the one of the old be over.
      usleep(UInt32(1000 - wallClock.milliseconds % 1000) * 1000)
      return """
        \(file.path) was damaged (\(detail)) and is \(aside) now; the next start begins an empty log under a new \
        generation
        """
    }
  }

  /// Nothing here may change while it runs: retention and bounds are read at the start. Which of them wait for one, avalod
  /// says (`settings_at_start` in the manifest).
  public func reload(_ settings: SchedulerSettings) async throws {}

  /// Answers what was asked, then closes the log in good order: cursors written back, everything synced, marked clean.
  public func drain(until deadline: MonotonicInstant) async {
    // This first.
    try? await context.eventLoop.submit { self.links.value.beginEnding() }.get()
    reader.stop()
    readStates.stop()
    await withCheckedContinuation { continuation in
      // It blocks until the engine's thread has ended.
      DispatchQueue.global().async {
        self.engine.stop()
        continuation.resume()
      }
    }
    // The last answers leave before the links end.
    try? await context.eventLoop.submit {
      self.server.value.stop()
      self.links.value.stop()
    }.get()
  }
}
