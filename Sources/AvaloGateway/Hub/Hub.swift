import AvaloCore
import AvaloReactor
import AvaloSystem
import AvaloWire
import Logging
import NIOCore

/// The domain of one loop: its sessions, the topics they watch, and how far each has got.
///
/// The reactor (or the NIO transport) calls it on the loop's thread; everybody else sends it mail. It writes through
/// the narrow ``ConnectionWriter`` and never waits: what needs an answer from another process is sent, and goes on when the
/// answer comes. The rules it keeps are those of `docs/delivery.md`; the story of an event reads
/// `deliver → fan → settle`, of a session `opened → connect → attach → ready → subscribe → behind → live → closed`.
final class Hub: LoopApplication {
  let loop: UInt8
  let face: Face
  let writer: ConnectionWriter
  let mailbox: Mailbox<HubMail>
  let port: any HubPort
  let services: HubServices
  let calls: CallContext
  let metrics: HubMetrics
  let clock: WallClock
  let log: Logger
  /// Where exceptions are noted.
  let journal: DeliveryJournal?
  var policy: GatewayPolicy

  /// By the slot of their connection.
  var sessions: ContiguousArray<Session?> = []
  var sessionCount = 0
  var nextSession: UInt64
  /// The slot of each user's first session here; the others are linked to it.
  var users = HashIndex()
  /// The slots of sessions by their token's id, of those whose token has one.
  var tokens = SlotIndex()

  var subscriptions = SubscriptionSlab()
  /// What subscriptions wait for that have not begun.
  var joining: [UInt32: Subscription.Joining] = [:]
  /// By index; the handle's low 24 bits.
  var topics: ContiguousArray<WatchedTopic?> = []
  var freeTopics: [UInt32] = []
  /// Topics that are watched or about to be, by the hash of their names.
  var topicIndex = HashIndex()

  /// The number of the link to the scheduler, while there is one.
  var schedulerLink: UInt32?
  var schedulerIsUp: Bool { schedulerLink != nil }
  var requests = RequestTable()
  var reads = ReadTable()
  /// Since which monotonic second subscriptions that are behind are so.
  var behindSince: [UInt32: UInt32] = [:]
  /// Offsets that overtook the replay of a subscription, by its index.
  var ahead: [UInt32: [UInt64]] = [:]
  /// Users whose presence sessions watch, in which chats those who watch are, and who is shown as typing: of no log.
  var presence = PresenceBook()
  /// The link to the presence worker was lost, and no new one made yet.
  var presenceIsAway = false
  var watcherChats = WatcherChats()
  let membershipPace: MembershipPace
  var typing = TypingTable()
  /// Told why a poll is refused, which is its answer.
  var whenRefused: ((ConnectionID, CallError) -> Void)?
  /// Told of a poll that another request took the place of, at whichever gateway.
  var whenSuperseded: ((ConnectionID) -> Void)?
  /// Of keyed state, the version that was told last; and that it is to be said, behind the watches of a new link.
  var latestVersion: UInt64 = 0
  var owesLatestSeen = false
  /// Sessions that were too slow for a receipt, by number.
  var missedReceipts: Set<UInt64> = []
  /// When sessions of connections that their clients named began, by number, in microseconds since 1970.
  var leases: [UInt64: Int64] = [:]
  /// When sessions are to go, while draining.
  var drain: DrainSchedule?
  /// The monotonic second that was ticked last.
  private var lastTick: UInt32?

  // What this turn will send, gathered so that it leaves as few frames and one mail.
  var toScheduler = WireWriter()
  /// In this second.
  var notedDenials: (second: UInt32, count: Int) = (0, 0)
  /// What sessions that come in have not read: asked at the turn's end.
  var readQueries: [(query: QueryReads, correlation: UInt32)] = []
  var toPresence = WireWriter()
  var watches: [Watch.Entry] = []
  var unwatches: [UInt32] = []
  var acknowledgements: [Acknowledge.Entry] = []
  var detached: [UInt64] = []
  var opened: [Sessions.Entry] = []
  var closedSessions: [SessionsClosed.Entry] = []
  var presenceWatches: [WatchPresence.Entry] = []
  var presenceUnwatches: [UInt32] = []
  /// What topics' live sessions get this turn; a topic knows which entry is its own.
  var turnFrames: [TurnFrames] = []
  /// Connections that parked in this turn: what this turn's send empties is not told as drained.
  var parkedThisTurn: [ConnectionID] = []
  /// Connections that are to be told where they stand, at this turn's end.
  var progressed: [ConnectionID] = []
  /// Events given to the writer in this turn, to be measured when it has written them.
  var deliveries: [LiveDelivery] = []
  var text = JSONWriter(capacity: 4096)

  init(
    loop: UInt8, face: Face = .webSocket, writer: ConnectionWriter, mailbox: Mailbox<HubMail>, port: any HubPort,
    services: HubServices,
    calls: CallContext, policy: GatewayPolicy, metrics: HubMetrics, clock: WallClock, log: Logger,
    journal: DeliveryJournal? = nil, membershipPace: MembershipPace = MembershipPace()
  ) {
    precondition(loop > 0, "correlations of loop 0 are the gateway's own")
    self.loop = loop
    self.face = face
    self.writer = writer
    self.mailbox = mailbox
    self.port = port
    self.services = services
    self.calls = calls
    self.policy = policy
    self.metrics = metrics
    self.clock = clock
    self.log = log
    self.journal = journal
    self.membershipPace = membershipPace
    nextSession = UInt64(loop) << 56
  }

  // MARK: - What the loop calls

  func opened(_ connection: ConnectionID, _ request: UpgradeRequest) {
    let slot = Int(connection.slot)
    while sessions.count <= slot { sessions.append(nil) }
    precondition(sessions[slot] == nil, "slot \(slot) opened twice")
    nextSession += 1
    let session = Session(
      connection: connection, number: nextSession, nowSeconds: writer.nowSeconds,
      openedMilliseconds: clock.milliseconds)
    sessions[slot] = session
    sessionCount += 1
    metrics.connections.set(sessionCount)
    greet(session, request)
  }

  func message(_ connection: ConnectionID, _ text: UnsafeRawBufferPointer) {
    guard let session = session(of: connection), session.stage != .closing else { return }
    receive(session, text)
  }

  func drained(_ connection: ConnectionID) {
    guard let session = session(of: connection) else { return }
    forEachSubscription(of: session) { index in
      guard subscriptions[index].parked else { return }
      subscriptions[index].parked = false
      readOn(index)
    }
    catchUpPresence(session)
    if missedReceipts.remove(session.number) != nil { askMissedReceipts(session) }
  }

  func refused(_ connection: ConnectionID, code: UInt16) {
    if code == AvaloReactor.CloseCode.tooLarge { metrics.limits(.messageBytes).add(1) }
  }

  func closed(_ connection: ConnectionID, clean: Bool) {
    guard let session = session(of: connection) else { return }
    if session.isCounted {
      let byUs: ConnectionEnd = session.isFault ? .fault : .server
      metrics.ends(session.stage == .closing ? byUs : clean ? .client : .lost).add(1)
    }
    noteEnd(session, clean: clean)  // while it still has what it is subscribed to
    end(session, clean: clean)
    tokens.remove(connection.slot)
    sessions[Int(connection.slot)] = nil
    sessionCount -= 1
    metrics.connections.set(sessionCount)
  }

  func woken() {
    mailbox.drain { mail in
      switch mail {
      case .scheduler(let frames): frames.withUnsafeReadableBytes { received($0) }
      case .schedulerUp(let link): schedulerCameUp(link)
      case .schedulerDown: schedulerWentDown()
      case .access(let access): apply(access)
      case .presence(let frames): frames.withUnsafeReadableBytes { receivedPresence($0) }
      case .presenceUp:
        presenceIsAway = false
        sendSnapshot()
      case .presenceDown: presenceIsAway = true
      case .drained(let connection): drained(connection)
      case .service(let id, let result): services.answered(id, result)
      case .probe(let heard): heard.set()
      case .policy(let policy): self.policy = policy
      case .trace(let query, let reply): reply(trace(query))
      case .drain(let schedule):
        drain = schedule
        drainSome()
      }
    }
  }

  func tick() {
    let now = writer.nowSeconds
    let milliseconds = clock.milliseconds
    for case let session? in sessions { check(session, nowSeconds: now, nowMilliseconds: milliseconds) }
    retryReads()
    endTypingInTime()
    refreshMemberships()
    drainSome()
    requests.trim()
    joining.trim()
    watcherChats.trim()
    measureWaiting(nowSeconds: now)
    reportSeen(seconds: (lastTick ?? now &- 1) &+ 1...now)
    lastTick = now
  }

  func turnEnding() {
    for frames in turnFrames where frames.start != nil {
      guard let topic = topics[Int(frames.topic)] else { continue }
      settle(topic)
    }
    tellPositions()
    askMemberships()
    sendGathered()
  }

  func turnEnded() {
    for connection in parkedThisTurn where writer.backlog(connection) == 0 { mailbox.post(.drained(connection)) }
    parkedThisTurn.removeAll(keepingCapacity: true)
    measureDeliveries()
    turnFrames.removeAll(keepingCapacity: true)
  }

  /// While anybody is behind for long, something is undelivered for as long.
  private func measureWaiting(nowSeconds: UInt32) {
    metrics.undeliveredSeconds.set(behindSince.values.min().map { Int(nowSeconds &- $0) } ?? 0)
  }

  private func measureDeliveries() {
    guard !deliveries.isEmpty else { return }
    let now = clock.microseconds
    for delivery in deliveries {
      let served = turnFrames[delivery.frames].served
      metrics.delivered(delivery.type, .live).add(served)
      metrics.liveSeconds.observe(microseconds: now - delivery.acceptedMicroseconds, count: served)
    }
    deliveries.removeAll(keepingCapacity: true)
  }

  // MARK: - Finding

  func session(of connection: ConnectionID) -> Session? {
    let slot = Int(connection.slot)
    guard slot < sessions.count, let session = sessions[slot], session.connection == connection else { return nil }
    return session
  }

  /// Calls `body` with each of a session's subscriptions; `body` may remove the one it is given.
  func forEachSubscription(of session: Session, _ body: (UInt32) -> Void) {
    var index = session.firstSubscription
    while index != Subscription.none {
      let next = subscriptions[index].next
      body(index)
      index = next
    }
  }

  func topic(of subscription: UInt32) -> WatchedTopic {
    guard let topic = topics[Int(subscriptions[subscription].topic)] else {
      preconditionFailure("subscription \(subscription) without its topic")
    }
    return topic
  }

  /// Queues what `build` writes as one frame.
  func send(_ session: Session, _ build: (inout JSONWriter) -> Void) {
    text.clear()
    build(&text)
    text.bytes.withUnsafeBytes { writer.text(session.connection, $0) }
  }

  func close(_ session: Session, _ code: CloseCode) {
    guard session.stage != .closing else { return }
    enterClosing(session, code)
    writer.close(session.connection, code: code.rawValue, reason: code.reason)
  }

  /// From here on nothing is written to it but its end.
  func enterClosing(_ session: Session, _ code: CloseCode) {
    noteClosing(session, code)
    session.enter(.closing, nowSeconds: writer.nowSeconds)
    session.isFault = code == .unavailable
    metrics.closes(code).add(1)
  }
}
