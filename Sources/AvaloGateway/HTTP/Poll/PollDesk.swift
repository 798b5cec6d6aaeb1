import AvaloCore
import AvaloReactor
import NIOCore

/// The held polls of one event loop: sessions like any other, whose frames are gathered into one answer instead of being
/// written to a socket. A poll is answered at the end of the turn that brought it something, or when it was held long
/// enough; its session ends with it, and the next poll, on whichever instance, begins where the answer's cursor says.
/// Confined to its event loop.
final class PollDesk: Polls {
  private struct Poll {
    let reply: CallReply
    let writing: AnswerWriting?
    let arrival: PollArrival
    /// Says by its next poll what it has processed: what this answer carries is not acknowledged with it.
    let hasCursor: Bool
    /// A later poll of its connection stands: nobody reads the answer.
    var isSuperseded = false
    /// When it was held long enough.
    var hold: Scheduled<Void>?
    /// What it was told: JSON texts, each with a comma behind.
    var texts: [UInt8] = []
    /// Why it ends without an answer.
    var error: CallError?
  }

  let writer: ConnectionWriter
  private let eventLoop: any EventLoop
  private let life: ConnectionLife
  private let hub: Hub
  private let addresses: AddressBudget?
  private let clock: LoopClock
  private let own: NIOLoopBoundBox<PollDesk?>
  /// By slot; those that are not answered yet.
  private var polls: [UInt32: Poll] = [:]
  /// Slots of polls that are to be answered at this turn's end, whatever they have.
  private var due: [UInt32] = []
  private var arrivals: UInt64 = 0
  /// Held long enough, and not begun yet.
  private var overdue: [ConnectionID] = []
  /// Answered, and not needed any more.
  private var leaving: [ConnectionID] = []
  private var ticks: RepeatedTask?
  private var inTurn = false

  /// On the event loop.
  init(
    loop: UInt8, on eventLoop: any EventLoop, settings: LoopSettings, addresses: AddressBudget?, making: HubMaking,
    clock: LoopClock = .monotonic
  ) throws {
    eventLoop.preconditionInEventLoop()
    self.eventLoop = eventLoop
    self.addresses = addresses
    self.clock = clock
    let own = NIOLoopBoundBox<PollDesk?>(nil, eventLoop: eventLoop)
    self.own = own
    writer = try ConnectionWriter(
      settings: settings, framing: Face.poll.framing, whenDirty: { own.value?.enterTurn() })
    life = ConnectionLife(writer)
    let waker = Waker { eventLoop.execute { own.value?.woken() } }
    hub = making.hub(loop: loop, writer, Mailbox<HubMail>(waker), .poll, transport: Face.poll.transport)
    self.waker = waker
    own.value = self
    life.carrier = self
    life.application = hub
    hub.whenSuperseded = { own.value?.superseded($0) }
    hub.whenRefused = { own.value?.polls[$0.slot]?.error = $1 }
    ticks = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
      own.value?.enterTurn()
    }
  }

  private let waker: Waker
  var mailbox: Mailbox<HubMail> { hub.mailbox }
  var connectionCount: Int { writer.connectionCount }

  /// Answers every poll with what it has.
  func stop() {
    ticks?.cancel()
    for slot in Array(polls.keys) { settle(slot) }
    life.endAll()
    life.application = nil
    own.value = nil
  }

  // MARK: - Polling

  func arrive() -> PollArrival {
    arrivals += 1
    return PollArrival(number: arrivals)
  }

  func hold(
    _ wish: PollWish, _ identity: Identity, _ arrival: PollArrival, writing: AnswerWriting?, reply: @escaping CallReply
  ) {
    guard writer.connectionCount < writer.settings.connectionsMax else {
      return reply(
        .failure(CallError(.unavailable, "this instance holds as many polls as it can", retryAfterMilliseconds: 1000)))
    }
    var lease: UInt32 = 0
    if let addresses, let address = writing?.client {
      guard let admitted = addresses.admit(AddressRange.household(of: address)) else {
        return reply(.failure(.tooManyFromAddress(addresses.connectionsPerAddressMax)))
      }
      lease = admitted
    }
    enterTurn()
    supersede(wish.request.connectionID, identity.user, arrival)
    let opened = life.open(
      descriptor: -1, addressLease: lease, response: [], request: UpgradeRequest(path: "/poll"))
    guard let connection = opened else { preconditionFailure("a slab with room has a slot") }
    var poll = Poll(reply: reply, writing: writing, arrival: arrival, hasCursor: wish.hasCursor)
    poll.hold = eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(wish.holdMilliseconds)) {
      self.holdIsOver(connection)
    }
    polls[connection.slot] = poll
    writing?.whenAbandoned = { [weak self] in self?.abandoned(connection) }
    hub.begin(connection, identity, wish.request, at: wish.arrivedMicroseconds)
  }

  /// A client asks anew when it has given up on its last poll: that one is answered, so that nothing waits for nobody. Which
  /// is the last one is a matter of when they arrived: what came in between may have held up an earlier one.
  private func supersede(_ connectionID: String?, _ user: String, _ arrival: PollArrival) {
    guard let connectionID else { return }
    hub.forEachSession(of: user) { other in
      guard other.connectionID == connectionID, let poll = polls[other.connection.slot], poll.arrival < arrival else {
        return
      }
      superseded(other.connection)
    }
  }

  private func superseded(_ connection: ConnectionID) {
    guard connection == writer.id(connection.slot) else { return }
    polls[connection.slot]?.isSuperseded = true
    end(connection)
  }

  /// However short the hold: a poll is not answered before it is known what there is.
  private func holdIsOver(_ connection: ConnectionID) {
    guard connection == writer.id(connection.slot), polls[connection.slot] != nil else { return }
    if let session = hub.session(of: connection), !hub.hasBegun(session) {
      overdue.append(connection)
      polls[connection.slot]?.hold = eventLoop.assumeIsolated().scheduleTask(
        in: .milliseconds(GatewayLimits.pollBeginTime.milliseconds)
      ) {
        self.end(connection)
      }
    } else {
      end(connection)
    }
  }

  /// Those whose hold was over before they had begun, and have by now.
  private func endOverdue() {
    overdue.removeAll { connection in
      guard connection == writer.id(connection.slot), polls[connection.slot] != nil else { return true }
      if let session = hub.session(of: connection), !hub.hasBegun(session) { return false }
      due.append(connection.slot)
      return true
    }
  }

  /// A poll that is answered at this turn's end. Not before: what the turn brought it is counted already where it stands, and
  /// is not among what it was told yet.
  private func end(_ connection: ConnectionID) {
    guard connection == writer.id(connection.slot) else { return }
    enterTurn()
    due.append(connection.slot)
  }

  /// The client has gone.
  private func abandoned(_ connection: ConnectionID) {
    guard connection == writer.id(connection.slot), let poll = polls.removeValue(forKey: connection.slot) else {
      return
    }
    poll.hold?.cancel()
    leave(connection)
  }

  // MARK: - Answering

  /// Answers a poll with what there is. Between two turns.
  private func settle(_ slot: UInt32) {
    guard let poll = polls.removeValue(forKey: slot) else { return }
    poll.hold?.cancel()
    let connection = writer.id(slot)
    guard poll.error == nil, let session = hub.session(of: connection) else {
      leave(connection)
      return poll.reply(.failure(poll.error ?? .draining))
    }
    let told = PollAnswer(poll.texts)
    guard told.isNews || poll.isSuperseded || hub.hasBegun(session) else {
      // An answer with nothing says that there is nothing.
      leave(connection)
      return poll.reply(.failure(.notKnownYet))
    }
    // This first: a session that is ending already ends when the next turn begins.
    let cursor = session.subscriptionCount > HubLimits.streamTopicsMax ? nil : hub.cursor(of: session)
    if !poll.hasCursor, told.hasEvents, let writing = poll.writing {
      // What was answered is recorded when it was written (delivery.md, rule 9); its session is needed for that.
      let written = hub.acknowledgements(of: session)
      writing.whenWritten = { [weak self] isWritten in
        if isWritten { self?.hub.acknowledge(written) }
        self?.leave(connection)
      }
    } else {
      leave(connection)
    }
    poll.reply(.success(told.json(cursor: cursor, now: hub.clock.milliseconds)))
  }

  /// Ends a poll's session with the next turn.
  private func leave(_ connection: ConnectionID) {
    enterTurn()
    leaving.append(connection)
  }

  // MARK: - The turn

  private func woken() {
    waker.answered()
    enterTurn()
    hub.woken()
  }

  private func enterTurn() {
    if inTurn { return }
    inTurn = true
    eventLoop.execute { [own] in own.value?.endTurn() }
    life.beginTurn(nowSeconds: UInt32(truncatingIfNeeded: clock.milliseconds() / 1000))
  }

  private func endTurn() {
    life.tick()
    for connection in leaving where connection == writer.id(connection.slot) { life.end(connection.slot) }
    leaving.removeAll(keepingCapacity: true)
    life.endInput()
    var position = 0
    while position < writer.dirtyCount {
      let slot = writer.dirty[position]
      position += 1
      if writer.slots[Int(slot)].flags.isGone { continue }
      writer.eachPiece(writer.slots + Int(slot)) { polls[slot]?.texts.append(contentsOf: $0) }
      life.sent(slot)
      if isDue(slot) { due.append(slot) }
    }
    life.endTurn()
    endOverdue()
    inTurn = false
    let answered = due
    due.removeAll(keepingCapacity: true)
    for slot in answered { settle(slot) }
    if life.hasNews || writer.dirtyCount > 0 { enterTurn() }
  }

  /// Whether a poll that was told something is answered now: it ends, or there is news among it.
  private func isDue(_ slot: UInt32) -> Bool {
    guard let poll = polls[slot] else { return false }
    return poll.error != nil || writer.slots[Int(slot)].flags.contains(.closing) || PollAnswer(poll.texts).isNews
  }
}

extension CallError {
  /// The log did not answer in time, or the instance stops.
  fileprivate static let notKnownYet = CallError(
    .unavailable, "what there is for this poll is not known at the moment: poll again", retryAfterMilliseconds: 1000)
}

extension PollDesk: Carrier {
  // Nothing is written anywhere.
  func shutWriting(_ index: UInt32) {}

  func cut(_ index: UInt32) {
    addresses?.release(writer.slots[Int(index)].addressLease)
  }
}
