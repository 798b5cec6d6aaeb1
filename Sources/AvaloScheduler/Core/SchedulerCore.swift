import AvaloCore
import AvaloStore
import AvaloWire
import Logging

/// The engine of the log: a state machine that takes commands in turns. It alone knows heads, idempotency, watches,
/// sessions and cursors. Lives on the engine thread; does no I/O but the log's, asks no clock, knows no socket.
///
/// A turn: apply all commands in one transaction, commit, then answer. What a link is sent for a turn is, in order:
/// answers, where its topics stand, events. All that arrives meanwhile is the next turn: group commit without a timer.
public final class SchedulerCore {
  let log: any EventLog
  let settings: SchedulerSettings
  let rules: RetentionRules
  let metrics: SchedulerMetrics
  let logger: Logger

  var moment: Moment
  var clock = WallClockGuard()
  var topics = TopicTable()
  var devices = DeviceTable()
  var links: [LinkState?] = []
  var freeLinks: [Int32] = []
  var linkPlaces: [LinkID: Int32] = [:]
  var tickets = SpentTickets()
  /// Sessions that are no device's are numbered downwards.
  var lastTransient: DeviceID = 0
  var access: AccessState
  var broadcasts: BroadcastTable
  var leases = LeaseTable()
  var logFollowers: FollowerTable
  var turn = Turn()
  var health = Health.healthy
  var watchCount = 0
  var delayedCount: Int
  var statistics: LogStatistics
  /// Watches that could not be answered because the log could not be read.
  var postponed: [BoundaryWork] = []
  /// A gateway has seen more than the log holds, and that could not be written yet: nobody may be told a head.
  var isRewound = false

  // Housekeeping
  var parted: [DeviceID: PartedDevice] = [:]
  var flushQueue: [DeviceID] = []
  var dirtyDevices: [DeviceID] = []
  var trimQueue: [Int32] = []
  var nextDue: Int64?
  /// Events were held or released: when the next is due is to be asked again.
  var isDueStale = false
  var isExpiring = false
  var isMerging = false
  var appendedSinceChunk = 0
  var nextSecond: Int64
  var nextDeviceSweep: Int64
  var deviceHand: DeviceID = 0

  /// Operators who wait for events.
  var followers: [Follower] = []

  /// Whether the log takes events.
  enum Health: Equatable {
    case healthy
    /// Writes are refused until then, monotonic milliseconds, when it is tried again.
    case failing(until: Int64)
  }

  public init(
    log: any EventLog, settings: SchedulerSettings, metrics: SchedulerMetrics, logger: Logger, at moment: Moment
  ) throws(LogError) {
    self.log = log
    self.settings = settings
    self.metrics = metrics
    self.logger = logger
    self.moment = moment
    rules = RetentionRules(default: settings.retention, byKind: settings.retentionByKind)
    nextSecond = moment.monotonic
    nextDeviceSweep = moment.monotonic
    access = try AccessState(log)
    broadcasts = try BroadcastTable(log, now: moment.monotonic)
    logFollowers = try FollowerTable(log)
    statistics = try log.statistics()
    delayedCount = try log.delayedCount()
    nextDue = try log.nextDue()
    if let mark = log.clockMark, let jump = clock.resume(from: mark, at: moment) { noteJump(jump) }
    showFigures()
  }

  /// The generation that new links are told.
  public var generation: UInt32 { log.identity.generation }

  // MARK: The turn

  /// Takes the commands, in order, and returns what is to be sent. Never fails: what the log could not do is answered.
  public func turn(_ commands: [Command], at now: Moment) -> TurnOutput {
    moment = now
    if let jump = clock.observe(now) { noteJump(jump) }
    tryAgainIfDue()
    noticeRewind(commands)  // before anything is appended
    noticeBacklogs()
    for command in commands {
      // What comes behind a failure is applied all the same: it reads, or is answered that the log fails.
      do throws(LogError) { try apply(command) } catch { fail(error) }
    }
    do throws(LogError) {
      try releaseDue()
      try serveBroadcast()  // behind all that was asked for
      try commitTurn()
    } catch {
      fail(error)
    }
    for origin in turn.lost { refuse(origin, SchedulerCore.unavailable) }
    tellLeasesLost()
    settleAccess()
    do throws(LogError) {
      try answerWatches()
    } catch {
      postpone(error)
    }
    deliver()
    deliverReceipts()
    tellFollowers()
    return finishTurn()
  }

  private func apply(_ command: Command) throws(LogError) {
    switch command {
    case .publish(let link, let correlation, let publish):
      try self.publish(publish, Origin(link: place(of: link), correlation: correlation))
    case .broadcast(let link, let correlation, let broadcast):
      try self.broadcast(broadcast, Origin(link: place(of: link), correlation: correlation))
    case .broadcasts(let link, let correlation, let request):
      try self.broadcast(request, Origin(link: place(of: link), correlation: correlation))
    case .attach(let link, let correlation, let attach):
      guard let link = state(of: link) else { return }
      try self.attach(attach, link, Origin(link: link.place, correlation: correlation))
    case .cursors(let link, let correlation, let cursors):
      guard let link = state(of: link) else { return }
      try self.cursors(cursors, link, Origin(link: link.place, correlation: correlation))
    case .markRead(let link, let correlation, let mark):
      try markRead(mark, Origin(link: place(of: link), correlation: correlation))
    case .queryReads(let link, let correlation, let query): turn.queries.append((link, correlation, query))
    case .lease(let link, let correlation, let lease):
      if let link = state(of: link) { self.lease(lease, link, correlation) }
    case .leave(let link, let leave):
      if let link = state(of: link) { self.leave(leave, link) }
    case .detach(let link, let detach):
      if let link = state(of: link) { self.detach(detach, link) }
    case .watch(let link, let correlation, let watch):
      if let link = state(of: link) { turn.boundary.append(.watch(link, correlation, watch.entries[...])) }
    case .unwatch(let link, let correlation, let unwatch):
      if let link = state(of: link) { turn.boundary.append(.unwatch(link, correlation, unwatch.handles)) }
    case .latestSeen(let link, let correlation, let seen):
      if let link = state(of: link) { turn.boundary.append(.latestSeen(link, correlation, seen.version)) }
    case .access(let link, let correlation, let request):
      guard let link = state(of: link) else { return }
      try access(request, link, Origin(link: link.place, correlation: correlation))
    case .accessConfirmed(let link, let confirmed): access.confirmations.confirmed(link, confirmed.position)
    case .acknowledge(let link, let acknowledge):
      if let link = state(of: link) { self.acknowledge(acknowledge, link) }
    case .follow(let link, let correlation, let follow):
      if let link = state(of: link) { try self.follow(follow, link, correlation) }
    case .acknowledgeFollowed(let link, let acknowledge):
      if let link = state(of: link) { self.acknowledge(acknowledge, link) }
    case .linkOpened(let id, let instance, let incarnation, let isGateway, let gauge):
      open(id, instance: instance, incarnation: incarnation, isGateway: isGateway, gauge: gauge)
    case .linkClosed(let id): close(id)
    case .linkDrained: break  // noticed at the turn's beginning
    case .ask(let question, let reply): turn.questions.append((question, reply))
    }
  }

  /// Everything of the turn becomes durable, or nothing.
  private func commitTurn() throws(LogError) {
    guard turn.isOpen else { return }
    let start = ContinuousClock.now
    try log.commit()
    turn.isOpen = false
    metrics.duplicates.add(turn.duplicates)
    metrics.marks.add(turn.receipts.count)
    metrics.served(turn.served, failed: turn.unserved)
    accessCommitted()
    // Only reads: ending it is no event.
    guard turn.hasWrites else { return }
    metrics.commitSeconds.observe(ContinuousClock.now - start)
    metrics.commits.add()
    metrics.groupSize.observe(Double(turn.requests.count))
    for (type, count) in turn.appendedByType.enumerated() where count > 0 { metrics.appended[type]?.add(count) }
    appendedSinceChunk += turn.appended
    delayedCount += turn.delayedChange
    followedCommitted()
    isDueStale = isDueStale || turn.hasDelayedChange
  }

  /// Begins the turn's transaction with the first thing that needs the log.
  func ensureTransaction() throws(LogError) {
    guard !turn.isOpen else { return }
    try log.begin()
    turn.isOpen = true
  }

  /// The transaction is lost: as far as anybody is told nothing of it happened, and who asked in it tries again. The
  /// turn goes on, and what comes in it may read.
  private func fail(_ error: LogError) {
    log.rollback()
    metrics.failedCommits.add()
    beginFailing(error)
    undoTurn()
    accessLost()
    topics.invalidate(identity: log.identity)
    metrics.refused(.log, turn.requests.count)
    for case let link? in links { link.out = WireWriter() }
    turn.lose()
  }

  /// What was committed stands; where topics are cannot be said now.
  private func postpone(_ error: LogError) {
    log.rollback()
    turn.isOpen = false
    beginFailing(error)
    postponed += turn.boundary[turn.boundaryDone...]
  }

  func beginFailing(_ error: LogError) {
    guard health == .healthy else { return }
    logger.error("the event log refuses events", metadata: ["reason": "\(error)"])
    health = .failing(until: moment.monotonic + SchedulerLimits.retryMilliseconds)
    metrics.healthy.set(0)
  }

  static let unavailable = Failed(
    .unavailable, "the event log takes nothing at the moment: try again",
    retryAfterMilliseconds: UInt32(SchedulerLimits.retryMilliseconds))

  static let unreadable = Failed(
    .unavailable, "the event log cannot be read now: try again",
    retryAfterMilliseconds: UInt32(SchedulerLimits.retryMilliseconds))

  private func finishTurn() -> TurnOutput {
    answerQuestions()
    var output = TurnOutput()
    for case let link? in links where !link.out.isEmpty {
      let frames = link.out.take()
      link.gauge.add(frames.count)
      output.sends.append((link.id, frames))
    }
    output.cuts = turn.cuts
    output.queries = turn.queries
    // Not before: an answer of this turn must not reach another link at the same place.
    freeLinks += turn.closedLinks
    turn.reset()
    return output
  }

  // MARK: Recovering

  private func tryAgainIfDue() {
    guard case .failing(let until) = health, moment.monotonic >= until else { return }
    do throws(LogError) {
      try log.reopen()
      health = .healthy
      metrics.healthy.set(1)
      topics.invalidate(identity: log.identity)
      nextDue = try log.nextDue()
      delayedCount = try log.delayedCount()
      try recoverAccess()
      broadcasts = try BroadcastTable(log, now: moment.monotonic)
      try logFollowers.recover(log)
      logger.notice("the event log takes events again")
    } catch {
      health = .failing(until: moment.monotonic + SchedulerLimits.retryMilliseconds)
      metrics.healthy.set(0)
      logger.debug("the event log still fails", metadata: ["reason": "\(error)"])
      return
    }
    turn.boundary += postponed
    postponed.removeAll()
    // A commit that failed may have happened after all: whoever watches hears where the topics really are.
    for case let link? in links { link.lagging.formUnion(link.handles.keys) }
  }

  private func noteJump(_ jump: Int64) {
    metrics.clockJumps.add()
    logger.warning(
      "the wall clock jumped", metadata: ["milliseconds": "\(jump)", "deletion_is_held": "\(clock.isHolding)"])
  }

  // MARK: Answering

  /// Remembers who waits, so that they hear if the turn fails.
  func expectAnswer(_ origin: Origin) { if origin.link >= 0 { turn.requests.append(origin) } }

  func answer(_ origin: Origin, _ message: some WireMessage) {
    guard origin.link >= 0, let link = links[Int(origin.link)] else { return }
    link.out.frame(message, correlation: origin.correlation)
  }

  func refuse(_ origin: Origin, _ failed: Failed) { answer(origin, failed) }

  func refuse(_ origin: Origin, _ code: StatusCode, _ message: String, _ reason: SchedulerMetrics.Refusal) {
    metrics.refused(reason)
    answer(origin, Failed(code, message))
  }

  func place(of link: LinkID) -> Int32 { linkPlaces[link] ?? -1 }
  func state(of link: LinkID) -> LinkState? { linkPlaces[link].flatMap { links[Int($0)] } }
}
