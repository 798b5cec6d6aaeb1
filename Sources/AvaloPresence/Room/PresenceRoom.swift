import AvaloCore
import AvaloLink
import AvaloSystem
import AvaloWire
import AvaloWorker
import Logging
import NIOCore

/// The gateways' links, and the boards they fill and are told from. Confined to the worker's loop.
///
/// Everything that comes in ends in ``tell()``: what changed is sent on, what is missing is asked of the file, what the
/// file does not have waits for ``flush()``.
final class PresenceRoom: LinkDelegate {
  var board: Board
  var typing: TypingBoard
  let context: WorkerContext
  let store: PresenceStore
  let metrics: PresenceMetrics
  /// By the numbers that the board knows them by.
  var links: [UInt16: Link] = [:]
  var schedule = WriteSchedule()
  /// Rows that are with the file now.
  var rowsUnderWay = 0
  /// Updates that wait for the file before they are answered.
  var updates = UpdateQueue()
  /// Lists that wait for gateways.
  var listings = ListingTable()
  /// How much is asked.
  var budget = QueryBudget()
  /// Users of whom the file knows nothing.
  var absent = AbsentUsers()
  /// The file is asked about users whom somebody watches or who change something.
  var isLoading = false
  /// Chats that users are in no longer, by users of whom the file is asked.
  var endedPartnerships: [UInt32: Set<String>] = [:]
  /// The file could not be read the last time.
  var readsFail = false
  private var server: LinkServer?
  private var timer: RepeatedTask?
  private var nextSweep: Int64
  private var nextIdleLook: Int64 = 0

  init(_ context: WorkerContext, _ settings: PresenceSettings, _ store: PresenceStore, _ registry: StoredRegistry) {
    self.context = context
    self.store = store
    board = Board(settings: settings, versions: registry.versions)
    typing = TypingBoard(after: UInt64.random(in: 0..<(1 << 62)))
    metrics = PresenceMetrics(context.metrics)
    nextSweep = Moment(context.monotonicClock, context.wallClock).monotonic + settings.sweepMilliseconds
    board.load(registry.connections, bare: registry.bare, at: now)
  }

  var now: Moment { Moment(context.monotonicClock, context.wallClock) }

  func serve(_ descriptor: Int32) -> EventLoopFuture<Void> {
    let server = LinkServer(
      listening: descriptor, on: context.eventLoop,
      welcome: { hello in
        guard LinkRole.all.contains(hello.role) else {
          return .failure(
            Failed(.permissionDenied, "only gateways and plugins link to presence, not \(hello.role)"))
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
    guard let number = (0..<WatchRow.noLink).first(where: { links[$0] == nil }) else {
      return link.close(reason: "there are \(links.count) links")
    }
    links[number] = link
    link.attachment = LinkNumber(number)
    // A plugin has no sessions: it asks and watches.
    if peer.role == LinkRole.gateway { board.linkOpened(peer.incarnation, ObjectIdentifier(link), at: now) }
  }

  func linkClosed(_ link: Link, reason: String) {
    guard let peer = link.peer else { return }
    if peer.role == LinkRole.gateway { board.linkClosed(peer.incarnation, ObjectIdentifier(link), at: now) }
    if let number = number(of: link) {
      links[number] = nil
      board.linkGone(number)
    }
    for done in listings.linkGone(ObjectIdentifier(link)) { finish(done) }
    tell()
  }

  /// The link has room again: it is told what it missed.
  func linkDrained(_ link: Link) {
    if let number = number(of: link) { board.catchUp(number) }
    tell()
  }

  func link(_ link: Link, received frames: ByteBuffer) {
    guard let peer = link.peer, let number = number(of: link) else { return }
    let incarnation = peer.incarnation
    link.walk(frames) { head, body in
      guard peer.role == LinkRole.gateway || PresenceRoom.isForPlugins(head.kind) else {
        throw WireError.unexpectedKind(head.kind.rawValue)
      }
      try self.received(head, body, on: link, number, incarnation)
    }
    tell()
    showUnwritten()
  }

  private static func isForPlugins(_ kind: FrameKind) -> Bool {
    switch kind {
    case .presenceQuery, .onlineUsersQuery, .connectionsQuery, .watchPresence, .unwatchPresence: true
    default: false
    }
  }

  private func received(
    _ head: Frame.Head, _ body: UnsafeRawBufferPointer, on link: Link, _ number: UInt16, _ incarnation: UInt64
  ) throws(WireError) {
    switch head.kind {
    case .sessions: opened(try Sessions(body: body).entries, by: incarnation)
    case .sessionsEnd:
      _ = try SessionsEnd(body: body)
      board.snapshotEnded(incarnation, at: now)
    case .sessionsClosed: closed(try SessionsClosed(body: body).entries, by: incarnation)
    case .sessionsSeen: board.seen(try SessionsSeen(body: body).entries, by: incarnation, at: now)
    case .watchPresence: board.watch(try WatchPresence(body: body).entries, by: number)
    case .unwatchPresence:
      let handles = try UnwatchPresence(body: body).handles
      board.unwatch(handles, by: number)
      link.send(PresenceUnwatched(handles: handles))
    case .setTyping: set(try SetTyping(body: body), by: incarnation)
    case .typingEnded: typing.ended(try TypingEnded(body: body), at: now.monotonic)
    case .setPresence: update(try SetPresence(body: body), on: link, head.correlation)
    case .partnershipsEnded: end(try PartnershipsEnded(body: body))
    case .erasePresence: erase(try ErasePresence(body: body), on: link, head.correlation)
    case .presenceQuery: answer(try PresenceQuery(body: body), on: link, head.correlation)
    case .onlineUsersQuery:
      link.send(board.onlineUsers(try OnlineUsersQuery(body: body), at: now), correlation: head.correlation)
    case .connectionsQuery: list(try ConnectionsQuery(body: body), on: link, head.correlation)
    case .sessionsDescribed:
      let described = try SessionsDescribed(body: body)
      if let done = listings.described(described, ObjectIdentifier(link), head.correlation) { finish(done) }
    case .connectionOwnerQuery:
      let query = try ConnectionOwnerQuery(body: body)
      link.send(
        ConnectionOwner(isAnother: board.isAnothers(query.connectionID, than: query.user)),
        correlation: head.correlation)
    case .disconnect: disconnect(try Disconnect(body: body), on: link, head.correlation)
    default: throw .unexpectedKind(head.kind.rawValue)
    }
  }

  // MARK: - Sessions

  private func opened(_ entries: [Sessions.Entry], by incarnation: UInt64) {
    guard board.connectionCount + entries.count <= PresenceLimits.connectionsMax else {
      return context.log.error(
        "too many connections for the registry", metadata: ["max": "\(PresenceLimits.connectionsMax)"])
    }
    for entry in entries { absent.remove(entry.user) }
    board.opened(entries, by: incarnation, at: now)
    metrics.opened.add(entries.count)
  }

  private func closed(_ entries: [SessionsClosed.Entry], by incarnation: UInt64) {
    for entry in entries {
      let key = SessionKey(incarnation: incarnation, session: entry.session)
      if let user = board.user(of: key) { typing.closed(key, user: user, at: now.monotonic) }
    }
    board.closed(entries, by: incarnation, at: now)
    metrics.closed.add(entries.count)
  }

  private func set(_ typing: SetTyping, by incarnation: UInt64) {
    let session = typing.session == 0 ? nil : SessionKey(incarnation: incarnation, session: typing.session)
    self.typing.set(typing, session: session, at: now.monotonic)
    board.acted(typing.user, session, at: now)
  }

  // MARK: - Time

  private func tick() {
    let now = self.now
    board.tick(at: now)
    typing.tick(at: now.monotonic)
    if now.monotonic >= nextSweep {
      nextSweep = now.monotonic + board.settings.sweepMilliseconds
      metrics.stale.add(board.sweep(at: now))
    }
    if now.monotonic >= nextIdleLook {
      nextIdleLook = now.monotonic + PresenceLimits.idleLookMilliseconds
      board.lookForIdle(at: now)
    }
    for done in listings.expired(at: now.monotonic) { finish(done) }
    tell()
    metrics.connections.set(board.connectionCount)
    metrics.online.set(board.onlineCount)
    metrics.watches.set(board.watches.count)
    flush()
  }

  func number(of link: Link) -> UInt16? { (link.attachment as? LinkNumber)?.value }

  func link(_ id: ObjectIdentifier) -> Link? { links.values.first { ObjectIdentifier($0) == id } }
}

/// What the board knows a link by.
private final class LinkNumber {
  let value: UInt16
  init(_ value: UInt16) { self.value = value }
}
