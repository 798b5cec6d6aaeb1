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
  private var schedule = WriteSchedule()
  /// Rows that are with the file now.
  private var rowsUnderWay = 0
  private var server: LinkServer?
  private var timer: RepeatedTask?
  private var nextSweep: Int64

  init(_ context: WorkerContext, _ settings: PresenceSettings, _ store: PresenceStore) {
    self.context = context
    self.store = store
    board = Board(settings: settings)
    metrics = PresenceMetrics(context.metrics)
    nextSweep = Moment(context.monotonicClock, context.wallClock).monotonic + settings.sweepMilliseconds
  }

  private var now: Moment { Moment(context.monotonicClock, context.wallClock) }

  func load(_ rows: [StoredConnection]) { board.load(rows, at: now) }

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
    let period = TimeAmount.milliseconds(PresenceLimits.tickMilliseconds)
    timer = context.eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { [weak self] _ in self?.tick()
    }
    return server.start()
  }

  /// The store writes what it was given before it closes; whether it could is of no more use to anybody here.
  func stop() {
    timer?.cancel()
    server?.stop()
    store.write(board.takeUnwritten(max: .max, at: now)) { [log = context.log] in
      if case .failure(let error) = $0 {
        log.error("the presence registry could not be written at the end", metadata: ["reason": "\(error)"])
      }
    }
  }

  // MARK: - Links

  func linkOpened(_ link: Link, welcome: Welcome?) {
    guard let peer = link.peer else { return }
    // A gateway that links anew has given up its old link, even if we do not know that yet.
    for old in server?.links.values.filter({ $0 !== link && $0.peer?.incarnation == peer.incarnation }) ?? [] {
      old.close(reason: "\(peer.instance) has linked anew")
    }
    board.linkOpened(peer.incarnation, ObjectIdentifier(link), at: now)
  }

  func linkClosed(_ link: Link, reason: String) {
    if let peer = link.peer { board.linkClosed(peer.incarnation, ObjectIdentifier(link), at: now) }
  }

  func linkDrained(_ link: Link) {}

  func link(_ link: Link, received frames: ByteBuffer) {
    guard let incarnation = link.peer?.incarnation else { return }
    link.walk(frames) { head, body in
      switch head.kind {
      case .sessions: self.opened(try Sessions(body: body).entries, by: incarnation)
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
    showUnwritten()
  }

  private func opened(_ entries: [Sessions.Entry], by incarnation: UInt64) {
    guard board.connectionCount + entries.count <= PresenceLimits.connectionsMax else {
      return context.log.error(
        "too many connections for the registry", metadata: ["max": "\(PresenceLimits.connectionsMax)"])
    }
    board.opened(entries, by: incarnation, at: now)
    metrics.opened.add(entries.count)
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
    let (eventLoop, log) = (context.eventLoop, context.log)
    store.find(away) { result in
      let found: [StoredUser]
      switch result {
      case .success(let users): found = users
      case .failure(let error):
        log.error("the presence registry cannot be read", metadata: ["reason": "\(error)"])
        found = away.map { StoredUser(id: $0, seenMilliseconds: 0, platform: .unknown) }
      }
      var rest = found[...]
      let entries = here.map { entry in
        entry
          ?? PresenceAnswer.Entry(
            online: false, lastSeenMilliseconds: rest.removeFirst().seenMilliseconds, platform: .unknown)
      }
      eventLoop.execute { bound.value.send(PresenceAnswer(entries: entries), correlation: correlation) }
    }
  }

  // MARK: - Time

  private func tick() {
    let now = self.now
    board.tick(at: now)
    if now.monotonic >= nextSweep {
      nextSweep = now.monotonic + board.settings.sweepMilliseconds
      metrics.stale.add(board.sweep(at: now))
    }
    metrics.connections.set(board.connectionCount)
    metrics.online.set(board.onlineCount)
    flush()
  }

  // MARK: - Writing

  /// Gives the file the next batch, unless one is under way or the file needs time. What it does not take waits on the
  /// board, where a row that changes again is still one row.
  private func flush() {
    defer { showUnwritten() }
    guard !board.unwritten.isEmpty, schedule.begin(at: now.monotonic) else { return }
    let changes = board.takeUnwritten(max: PresenceLimits.batchRowsMax, at: now)
    rowsUnderWay = changes.count
    let start = context.monotonicClock.now
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    store.write(changes) { [eventLoop = context.eventLoop] result in
      eventLoop.execute { bound.value.finished(changes, result, since: start) }
    }
  }

  private func finished(_ changes: RegistryChanges, _ result: Result<Void, any Error>, since start: MonotonicInstant) {
    rowsUnderWay = 0
    defer { showUnwritten() }
    switch result {
    case .success:
      metrics.writeSeconds.observe(context.monotonicClock.now - start)
      board.written(changes)
      if schedule.succeeded() { context.log.notice("the presence registry can be written again") }
      // A batch that was full has more behind it.
      if changes.count >= PresenceLimits.batchRowsMax { flush() }
    case .failure(let error):
      metrics.failedWrites.add(1)
      board.notWritten(changes)
      metrics.lostUsers.add(board.unwritten.takeLostUsers())
      guard schedule.failed(at: now.monotonic) else { return }
      context.log.error(
        "the presence registry cannot be written: it is tried again until it can, and who is here is known meanwhile",
        metadata: ["file": "\(store.path)", "reason": "\(error)"])
    }
  }

  private func showUnwritten() { metrics.unwritten.set(board.unwritten.count + rowsUnderWay) }
}
