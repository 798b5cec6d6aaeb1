import AvaloCore
import AvaloLink
import AvaloMetrics
import AvaloSystem
import AvaloWire
import AvaloWorker
import Logging
import NIOCore

/// The gateways' links and the board they fill. Confined to the worker's loop.
final class PresenceRoom: LinkDelegate {
  var board: Board
  private let context: WorkerContext
  private let store: PresenceStore
  private let metrics: PresenceMetrics
  private var server: LinkServer?
  private var timer: RepeatedTask?
  private var nextSecond: Int64 = 0
  private var nextSweep: Int64

  init(_ context: WorkerContext, _ settings: PresenceSettings, _ store: PresenceStore) {
    self.context = context
    self.store = store
    board = Board(settings: settings)
    metrics = PresenceMetrics(context.metrics)
    nextSweep = context.wallClock.milliseconds + settings.sweepMilliseconds
  }

  var connectionCount: Int { board.connections.count }
  private var now: Int64 { context.wallClock.milliseconds }

  func load(_ rows: [(key: Board.Key, connection: Board.Connection)]) { board.load(rows, at: now) }

  func serve(_ descriptor: Int32) -> EventLoopFuture<Void> {
    let server = LinkServer(
      listening: descriptor, on: context.eventLoop,
      welcome: { hello in
        guard hello.role == "gateway" else {
          return .failure(Failed(.permissionDenied, "only gateways link to presence, not \(hello.role)"))
        }
        return .success(Welcome(generation: 0, credit: UInt32(WireLimits.batchEntriesMax)))
      }, delegate: self, log: context.log)
    self.server = server
    let period = TimeAmount.milliseconds(PresenceLimits.flushMilliseconds)
    timer = context.eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { [weak self] _ in self?.tick()
    }
    return server.start()
  }

  func stop() {
    timer?.cancel()
    server?.stop()
    flush()
  }

  // MARK: - Links

  func linkOpened(_ link: Link, welcome: Welcome?) {
    if let peer = link.peer { board.linkOpened(peer.incarnation) }
  }

  func linkClosed(_ link: Link, reason: String) {
    if let peer = link.peer { board.linkClosed(peer.incarnation, at: now) }
  }

  func linkDrained(_ link: Link) {}

  func link(_ link: Link, received frames: ByteBuffer) {
    guard let incarnation = link.peer?.incarnation else { return }
    link.walk(frames) { head, body in
      switch head.kind {
      case .sessions:
        let entries = try Sessions(body: body).entries
        guard self.connectionCount + entries.count <= PresenceLimits.connectionsMax else {
          self.context.log.error(
            "too many connections for the registry", metadata: ["max": "\(PresenceLimits.connectionsMax)"])
          return
        }
        self.board.opened(entries, by: incarnation, at: self.now)
        self.metrics.opened.add(entries.count)
      case .sessionsEnd:
        _ = try SessionsEnd(body: body)
        self.board.snapshotEnded(incarnation, at: self.now)
      case .sessionsClosed:
        let entries = try SessionsClosed(body: body).entries
        self.board.closed(entries, by: incarnation, at: self.now)
        self.metrics.closed.add(entries.count)
      case .sessionsSeen:
        self.board.seen(try SessionsSeen(body: body).sessions, by: incarnation, at: self.now)
      case .presenceQuery:
        self.answer(try PresenceQuery(body: body).users, on: link, head.correlation)
      default: throw WireError.unexpectedKind(head.kind.rawValue)
      }
    }
  }

  /// Who is here is known at once; of the others the file knows when they were seen.
  private func answer(_ users: [String], on link: Link, _ correlation: UInt32) {
    metrics.queries.add(1)
    let here = users.map { board.entry(of: $0) }
    let away = zip(users, here).filter { $0.1 == nil }.map(\.0)
    guard !away.isEmpty else {
      return link.send(PresenceAnswer(entries: here.compactMap { $0 }), correlation: correlation)
    }
    let bound = NIOLoopBound(link, eventLoop: context.eventLoop)
    let eventLoop = context.eventLoop
    store.lastSeen(away) { found in
      var rest = found[...]
      let entries = here.map { entry in
        entry
          ?? PresenceAnswer.Entry(
            online: false, lastSeenMilliseconds: rest.removeFirst().seen, platform: .unknown)
      }
      eventLoop.execute { bound.value.send(PresenceAnswer(entries: entries), correlation: correlation) }
    }
  }

  // MARK: - Time

  private func tick() {
    let now = self.now
    if now >= nextSecond {
      nextSecond = now + 1000
      board.tick(at: now)
    }
    if now >= nextSweep {
      nextSweep = now + board.settings.sweepMilliseconds
      metrics.stale.add(board.sweep(at: now))
    }
    metrics.connections.set(board.connections.count)
    metrics.online.set(board.onlineCount)
    flush()
  }

  private func flush() {
    let changes = board.takeChanges()
    guard !changes.isEmpty else { return }
    let start = context.monotonicClock.now
    let (metrics, log, clock) = (self.metrics, context.log, context.monotonicClock)
    store.write(changes) { result in
      switch result {
      case .success: metrics.writeSeconds.observe(clock.now - start)
      case .failure(let error):
        metrics.failedWrites.add(1)
        log.error("the presence registry cannot be written", metadata: ["reason": "\(error)"])
      }
    }
  }
}

/// Every series of the presence worker.
struct PresenceMetrics: Sendable {
  let connections: Gauge
  let online: Gauge
  let opened: Counter
  let closed: Counter
  let stale: Counter
  let queries: Counter
  let failedWrites: Counter
  let writeSeconds: Histogram

  init(_ registry: MetricsRegistry) {
    connections = registry.gauge("avalo_presence_connections", help: "Connections in the registry.")
    online = registry.gauge("avalo_presence_users_online", help: "Users who are online, lingering ones included.")
    opened = registry.counter("avalo_presence_opened_total", help: "Connections that gateways named.")
    closed = registry.counter("avalo_presence_closed_total", help: "Connections that gateways ended.")
    stale = registry.counter("avalo_presence_stale_total", help: "Connections removed by the sweep.")
    queries = registry.counter("avalo_presence_queries_total", help: "Batches of users asked for.")
    failedWrites = registry.counter("avalo_presence_failed_writes_total", help: "Batches the file did not take.")
    writeSeconds = registry.histogram("avalo_presence_write_seconds", help: "From a batch's hand-over to its commit.")
  }
}
