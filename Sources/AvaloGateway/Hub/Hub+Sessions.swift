import AvaloCore
import AvaloReactor
import AvaloWire

// The life of a session: opened → connect → attach → ready → closed.
extension Hub {

  /// A handshake is done. A ticket or a token in the subprotocol says who it is; otherwise the first frame must.
  func greet(_ session: Session, _ request: UpgradeRequest) {
    guard let credential = UpgradeCredential(request) else { return }
    switch credential {
    case .ticket(let ticket):
      do throws(Tickets.Refusal) {
        let redeemed = try policy.access.tickets.redeem(ticket, now: clock.milliseconds)
        session.ticket = redeemed.id
        connect(session, redeemed.identity, redeemed.request)
      } catch {
        refuse(session, error.callError)
      }
    case .token(let token):
      authenticate(session, token: token)
    }
  }

  /// Checks a token; answers false when the session was refused.
  @discardableResult func authenticate(_ session: Session, token: String) -> Bool {
    do throws(TokenError) {
      let identity = try policy.access.authenticator.authenticate(token, now: clock.milliseconds)
      if session.stage == .ready || session.stage == .attaching { return refresh(session, identity) }
      session.identity = identity
      return true
    } catch {
      refuse(session, error.callError)
      return false
    }
  }

  /// A new token on a live connection: the rights are checked again, the stream goes on.
  private func refresh(_ session: Session, _ identity: Identity) -> Bool {
    guard identity.user == session.identity?.user else {
      refuse(session, CallError(.permissionDenied, "the new token belongs to another user than this connection's"))
      return false
    }
    session.identity = identity
    var lost: [UInt32] = []
    forEachSubscription(of: session) {
      if !policy.access.rules.maySubscribe(identity, to: topic(of: $0).topic) { lost.append($0) }
    }
    for index in lost {
      let name = topic(of: index).topic
      unsubscribe(session, index)
      send(session) { $0.error(CallError(.permissionDenied, "the new token does not allow \(name)")) }
    }
    return true
  }

  /// The session is known: subscribe, register the device, and say `ready` when the scheduler has it.
  func connect(_ session: Session, _ identity: Identity, _ request: ConnectRequest) {
    let count = connectionsOfUser[identity.user, default: 0]
    guard Int(count) < policy.limits.connectionsPerUserMax else {
      return refuse(
        session,
        CallError(
          .resourceExhausted, "a user may have \(policy.limits.connectionsPerUserMax) connections here at a time",
          retryAfterMilliseconds: 5000), code: .limit)
    }
    if let refusal = policy.access.flags.engine.refusal(for: identity.user) {
      return refuse(session, refusal, code: .featureDisabled)
    }
    session.isPresent = policy.access.flags.presence.isOn(for: identity.user)
    session.identity = identity
    session.platform = request.platform
    session.connectionID = request.connectionID ?? calls.newConnectionID()
    session.device = request.deviceID ?? session.connectionID
    let wanted = request.topics(of: identity)
    let grant = grant(session, wanted)
    session.denied = grant.denied
    guard !grant.granted.isEmpty else {
      return refuse(
        session,
        CallError(
          .permissionDenied, "none of the topics asked for is allowed: \(wanted.prefix(3).joined(separator: ", "))"),
        code: .permissionDenied)
    }
    connectionsOfUser[identity.user] = count + 1
    session.isCounted = true
    for topic in grant.granted { _ = join(session, topic, presented: request.positions[topic]) }
    session.enter(.attaching, nowSeconds: writer.nowSeconds)
    if schedulerIsUp { attach(session) }
  }

  /// Which of the topics asked for this session may have, each once, leaving out what it has already.
  func grant(_ session: Session, _ wanted: [String]) -> AccessRules.Grant {
    guard let identity = session.identity else { return AccessRules.Grant() }
    var grant = policy.access.rules.grant(wanted, to: identity)
    let room = policy.limits.topicsPerConnectionMax - Int(session.subscriptionCount)
    while grant.granted.count > max(0, room), let last = grant.granted.popLast() {
      grant.denied.append(AccessRules.Grant.Denial(topic: last.name, code: .resourceExhausted))
    }
    return grant
  }

  /// Registers the session at the scheduler, asking for the cursors it does not have yet. Sent again after a new link.
  func attach(_ session: Session) {
    guard let identity = session.identity else { return }
    let joining = subscriptionsWithoutCursor(of: session)
    writeAcknowledgements()
    let correlation = requests.insert(
      .attach(session: session.number, slot: session.connection.slot, subscriptions: joining), loop: loop)
    toScheduler.frame(
      Attach(
        session: session.number, user: identity.user, device: session.device, platform: session.platform,
        topics: joining.map { topic(of: $0).topic }, ticket: session.ticket), correlation: correlation)
  }

  /// The scheduler has registered a session, or looked up more of its cursors.
  func attached(_ correlation: UInt32, _ cursors: [Position]) {
    switch requests.remove(correlation) {
    case .attach(let number, let slot, let joining):
      guard let session = session(number, slot) else { return }
      take(cursors, for: joining, of: session)
      if session.stage == .attaching { becomeReady(session) }
      for index in joining { startIfOwn(index, session) }
    case .cursors(let number, let slot, let joining, let done):
      guard let session = session(number, slot) else { return }
      take(cursors, for: joining, of: session)
      done?(.success(()))
      for index in joining { startIfOwn(index, session) }
    case .read, nil:
      // Asked on an earlier link; that link's answers were given up with it.
      break
    }
  }

  private func becomeReady(_ session: Session) {
    guard let identity = session.identity else { return }
    session.enter(.ready, nowSeconds: writer.nowSeconds)
    session.ticket = ""
    metrics.attempts(.ok).add(1)
    send(session) {
      $0.ready(
        session, topics(of: session), pingIntervalMilliseconds: policy.limits.pingIntervalMilliseconds,
        nowMilliseconds: clock.milliseconds)
    }
    session.denied = []
    guard session.isPresent else { return }
    opened.append(
      Sessions.Entry(
        session: session.number, user: identity.user, device: session.device, platform: session.platform,
        connectionID: session.connectionID, connectedMilliseconds: session.openedMilliseconds))
  }

  /// Asks where the device stopped in topics that a registered session joins.
  func askCursors(_ session: Session, _ joining: [UInt32], done: RequestTable.Completion?) {
    // Without a link the next attach asks, and a call is refused rather than left hanging.
    guard schedulerIsUp else {
      done?(.failure(.schedulerAway))
      return
    }
    writeAcknowledgements()
    let correlation = requests.insert(
      .cursors(session: session.number, slot: session.connection.slot, subscriptions: joining, done: done), loop: loop)
    toScheduler.frame(
      Cursors(session: session.number, topics: joining.map { topic(of: $0).topic }), correlation: correlation)
  }

  func cursorsFailed(
    _ session: Session?, _ joining: [UInt32], _ done: RequestTable.Completion?, _ failure: Failed
  ) {
    guard let session else { return }
    for index in joining where isOwn(index, session) && subscriptions[index].state == .joining {
      unsubscribe(session, index)
    }
    let error = CallError(failure)
    if let done { done(.failure(error)) } else { refuse(session, error) }
  }

  func attachFailed(_ session: Session?, _ failure: Failed) {
    guard let session else { return }
    refuse(session, CallError(failure))
  }

  /// Tells what is wrong and ends the session.
  func refuse(_ session: Session, _ error: CallError, code: CloseCode? = nil) {
    guard session.stage != .closing else { return }
    if session.stage != .ready {
      metrics.attempts(code == .featureDisabled ? .disabled : ConnectOutcome(error.code)).add(1)
    }
    send(session) { $0.error(error) }
    close(session, code ?? CloseCode(error.code))
  }

  /// Everything the session held is given back.
  func end(_ session: Session, clean: Bool) {
    forEachSubscription(of: session) { leave($0) }
    session.firstSubscription = Subscription.none
    if session.stage == .awaitingConnect { metrics.attempts(.abandoned).add(1) }
    guard session.isCounted, let user = session.identity?.user else { return }
    let left = connectionsOfUser[user, default: 1] - 1
    connectionsOfUser[user] = left == 0 ? nil : left
    detached.append(session.number)
    closedSessions.append(SessionsClosed.Entry(session: session.number, clean: clean))
  }

  /// Once a second for each session: time limits, the token's end, the call allowance.
  func check(_ session: Session, nowSeconds: UInt32, nowMilliseconds: Int64) {
    session.callAllowance = UInt16(HubLimits.callsPerSecondMax)
    switch session.stage {
    case .awaitingConnect:
      guard nowSeconds &- session.stageSeconds >= policy.limits.connectSecondsMax else { return }
      metrics.attempts(.timeout).add(1)
      close(session, .connectTimeout)
    case .attaching:
      guard nowSeconds &- session.stageSeconds >= HubLimits.attachSecondsMax else { return }
      refuse(session, .schedulerAway, code: .unavailable)
    case .ready:
      guard let expires = session.identity?.expiresAtMilliseconds, expires > 0, expires <= nowMilliseconds else {
        return
      }
      refuse(
        session, CallError(.unauthenticated, "the token has expired: connect again with a new one"), code: .tokenExpired
      )
    case .closing: break
    }
  }

  // MARK: - Presence and draining

  /// Tells the presence worker of every session, on a new link.
  func sendSnapshot() {
    opened.removeAll(keepingCapacity: true)
    for case let session? in sessions where session.stage == .ready && session.isPresent {
      guard let identity = session.identity else { continue }
      opened.append(
        Sessions.Entry(
          session: session.number, user: identity.user, device: session.device, platform: session.platform,
          connectionID: session.connectionID, connectedMilliseconds: session.openedMilliseconds))
    }
    sendGathered()
    port.toPresence([], snapshotEnds: true)
  }

  /// Tells which sessions were heard of since the last time, the pongs included that browsers send by themselves.
  func reportSeen() {
    var seen: [UInt64] = []
    for case let session? in sessions
    where session.stage == .ready
      && writer.nowSeconds &- writer.lastReceived(session.connection) <= HubLimits.seenReportSeconds
    {
      seen.append(session.number)
      if seen.count == HubLimits.batchMax {
        toPresence.frame(SessionsSeen(sessions: seen))
        seen.removeAll(keepingCapacity: true)
      }
    }
    if !seen.isEmpty { toPresence.frame(SessionsSeen(sessions: seen)) }
  }

  func startDraining(over seconds: UInt32) {
    drainEnds = writer.nowSeconds &+ max(1, seconds)
    drainSome()
  }

  /// Sends an even share of the sessions away, so that all are gone when the drain ends and their return is spread.
  func drainSome() {
    guard let drainEnds else { return }
    let left = drainEnds > writer.nowSeconds ? drainEnds - writer.nowSeconds : 0
    var share = left == 0 ? sessionCount : (sessionCount + Int(left)) / (Int(left) + 1)
    for case let session? in sessions where share > 0 && session.stage != .closing {
      share -= 1
      let retry = 100 + random(1000 * (left + 1))
      send(session) { $0.goaway(retryAfterMilliseconds: retry) }
      close(session, .goingAway)
    }
  }

  // MARK: - Helpers

  func session(_ number: UInt64, _ slot: UInt32) -> Session? {
    guard Int(slot) < sessions.count, let session = sessions[Int(slot)], session.number == number,
      session.stage != .closing
    else { return nil }
    return session
  }

  func topics(of session: Session) -> [Topic] {
    var all: [Topic] = []
    forEachSubscription(of: session) { all.append(topic(of: $0).topic) }
    return all.reversed()
  }

  /// Takes a subscription out of its session and ends it.
  func unsubscribe(_ session: Session, _ index: UInt32) {
    if session.firstSubscription == index {
      session.firstSubscription = subscriptions[index].next
    } else {
      var before = session.firstSubscription
      while subscriptions[before].next != index { before = subscriptions[before].next }
      subscriptions[before].next = subscriptions[index].next
    }
    session.subscriptionCount -= 1
    leave(index)
  }

  private func subscriptionsWithoutCursor(of session: Session) -> [UInt32] {
    var joining: [UInt32] = []
    forEachSubscription(of: session) {
      if subscriptions[$0].state == .joining, !subscriptions[$0].hasCursor { joining.append($0) }
    }
    return joining
  }

  /// The answer may come after a subscription was given up and its place used again.
  private func isOwn(_ index: UInt32, _ session: Session) -> Bool {
    var own = false
    forEachSubscription(of: session) { if $0 == index { own = true } }
    return own
  }

  private func take(_ cursors: [Position], for joining: [UInt32], of session: Session) {
    guard cursors.count == joining.count else { return }
    for (index, cursor) in zip(joining, cursors) where isOwn(index, session) && subscriptions[index].state == .joining {
      subscriptions[index].hasCursor = true
      subscriptions[index].deviceCursor = cursor.offset
      if !subscriptions[index].isPresented {
        subscriptions[index].epoch = cursor.epoch.rawValue
        subscriptions[index].cursor = cursor.offset
      }
    }
  }

  private func startIfOwn(_ index: UInt32, _ session: Session) {
    if isOwn(index, session) { start(index) }
  }
}

extension CallError {
  static let schedulerAway = CallError(
    .unavailable, "the event log is not reachable at the moment: try again", retryAfterMilliseconds: 1000)

  init(_ failure: Failed) {
    self.init(
      failure.code, failure.message,
      retryAfterMilliseconds: failure.retryAfterMilliseconds == 0 ? nil : Int(failure.retryAfterMilliseconds))
  }
}

extension CloseCode {
  /// The close that fits a refusal.
  init(_ code: StatusCode) {
    self =
      switch code {
      case .unauthenticated: .unauthenticated
      case .permissionDenied: .permissionDenied
      case .resourceExhausted: .limit
      case .invalidArgument: .badFrame
      default: .unavailable
      }
  }
}
