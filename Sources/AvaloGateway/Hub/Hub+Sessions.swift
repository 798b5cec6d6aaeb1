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
        session.entry = Session.Entry(ticket: redeemed.id)
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
    session.charge(HubLimits.tokenFrames)
    do throws(TokenError) {
      let identity = try policy.access.authenticator.authenticate(token, now: clock.milliseconds)
      guard !policy.access.revocations.covers(identity.token) else {
        cut(session)
        return false
      }
      if session.stage == .ready || session.stage == .attaching { return refresh(session, identity) }
      session.identify(identity)
      noteToken(of: session)
      return true
    } catch {
      refuse(session, error.callError)
      return false
    }
  }

  /// A new token on a live connection: the rights are checked again, the stream goes on.
  private func refresh(_ session: Session, _ identity: Identity) -> Bool {
    guard identity.user == session.user else {
      refuse(session, CallError(.permissionDenied, "the new token belongs to another user than this connection's"))
      return false
    }
    let last = session.identity ?? identity
    session.identify(identity)
    noteToken(of: session)
    judgeAnew(session, identity, after: last)
    return true
  }

  /// The session is known: subscribe, register the device, and say `ready` when the scheduler has it.
  func connect(_ session: Session, _ identity: Identity, _ request: ConnectRequest) {
    // A ticket's token, or one that was verified a while ago.
    guard !policy.access.revocations.covers(identity.token) else { return cut(session) }
    guard connectionCount(of: identity.user) < policy.limits.connectionsPerUserMax else {
      return refuse(
        session,
        .over(
          .connectionsPerUser, max: policy.limits.connectionsPerUserMax,
          "a user may have \(policy.limits.connectionsPerUserMax) connections here at a time",
          retryAfterMilliseconds: HubLimits.userRetryMilliseconds), code: .limit)
    }
    if let refusal = policy.access.flags.engine.refusal(for: identity.user) {
      return refuse(session, refusal, code: .featureDisabled)
    }
    if waitsForMembership(session, identity, request) { return }
    session.isPresent = policy.access.flags.presence.isOn(for: identity.user)
    let connectionID = request.connectionID ?? calls.newConnectionID()
    session.introduce(
      identity, platform: request.platform, device: request.deviceID ?? connectionID, connectionID: connectionID)
    noteToken(of: session)
    session.isDevice = request.deviceID != nil
    let wanted = request.topics(of: identity)
    let grant = grant(session, wanted, identity)
    session.deny(grant.denied)
    noteDenials(session, grant.denied)
    if grant.isForAnotherTime { return refuse(session, .membershipUnknown, code: .unavailable) }
    guard !grant.granted.isEmpty else {
      return refuse(
        session,
        CallError(
          .permissionDenied, "none of the topics asked for is allowed: \(wanted.prefix(3).joined(separator: ", "))"),
        code: .permissionDenied)
    }
    enlist(session)
    for topic in grant.granted where !topic.isPresence {
      _ = join(session, topic, ifMember: grant.ifMember.contains(topic), presented: request.positions[topic])
    }
    joinPresence(session, grant.granted.filter(\.isPresence))
    session.enter(.attaching, nowSeconds: writer.nowSeconds)
    if schedulerIsUp { attach(session) }
  }

  /// Which of the topics asked for this session may have, each once, leaving out what it has already.
  private func grant(_ session: Session, _ wanted: [String], _ identity: Identity) -> AccessRules.Grant {
    var grant = policy.access.grant(wanted, to: identity)
    metrics.limits(.topics).add(
      grant.keep(policy.limits.topicsPerConnectionMax - Int(session.subscriptionCount)) { !$0.isPresence })
    if session.isPresent {
      metrics.limits(.presenceTopics).add(
        grant.keep(policy.limits.presenceTopicsMax - presence.count(of: session.connection), of: \.isPresence))
    } else {
      grant.keep(0, orDeny: .failedPrecondition, of: \.isPresence)
    }
    return grant
  }

  func becomeReady(_ session: Session) {
    session.enter(.ready, nowSeconds: writer.nowSeconds)
    metrics.attempts(.ok).add(1)
    trimReads(of: session)
    // This first: nothing was said until now.
    if let answer = session.entry?.answer { queue(session, answer.accepted) }
    send(session) {
      $0.ready(
        session, topics(of: session) + presenceTopics(of: session),
        pingIntervalMilliseconds: policy.limits.pingIntervalMilliseconds,
        nowMilliseconds: clock.milliseconds)
    }
    let receipts = session.entry?.receipts ?? []
    session.entry = nil
    tellHeld(receipts, to: session)
    opened.append(presenceEntry(of: session))
    catchUpPresence(session)
  }

  /// Tells what is wrong and ends the session.
  func refuse(_ session: Session, _ error: CallError, code: CloseCode? = nil) {
    guard session.stage != .closing else { return }
    noteRefusal(session, error)
    if let exceeded = error.exceeded { metrics.limits(exceeded.limit).add(1) }
    if session.stage != .ready {
      metrics.attempts(code == .featureDisabled ? .disabled : ConnectOutcome(error.code)).add(1)
    }
    end(session, with: error, code ?? CloseCode(error.code))
  }

  /// Everything the session held is given back.
  func end(_ session: Session, clean: Bool) {
    forEachSubscription(of: session) { leave($0) }
    session.firstSubscription = Subscription.none
    endPresence(session)
    leases[session.number] = nil
    missedReceipts.remove(session.number)
    if session.stage == .awaitingConnect || session.stage == .attaching { metrics.attempts(.abandoned).add(1) }
    guard session.isCounted else { return }
    delist(session)
    detached.append(session.number)
    guard session.isPresent else { return }
    closedSessions.append(SessionsClosed.Entry(session: session.number, clean: clean))
  }

  /// Once a second for each session: time limits, the token's end, the call allowance.
  func check(_ session: Session, nowSeconds: UInt32, nowMilliseconds: Int64) {
    session.renewAllowances()
    switch session.stage {
    case .awaitingConnect:
      guard nowSeconds &- session.stageSeconds >= policy.limits.connectSecondsMax else { return }
      metrics.attempts(.timeout).add(1)
      close(session, .connectTimeout)
    case .attaching:
      guard nowSeconds &- session.stageSeconds >= HubLimits.attachSecondsMax else { return }
      refuse(session, .schedulerAway, code: .unavailable)
    case .ready:
      let expires = session.expiresAtMilliseconds
      guard expires > 0 else { return }
      if !session.isWarned, expires - nowMilliseconds <= HubLimits.expiryWarningMilliseconds {
        session.isWarned = true
        send(session) { $0.expiring(atMilliseconds: expires) }
      }
      guard expires + policy.limits.leewayMilliseconds <= nowMilliseconds else { return }
      refuse(
        session, CallError(.unauthenticated, "the token has expired: connect again with a new one"), code: .tokenExpired
      )
    case .closing: break
    }
  }

  // MARK: - Presence and draining

  /// Tells the presence worker of every session and of every user it is to tell of, on a new link.
  func sendSnapshot() {
    opened.removeAll(keepingCapacity: true)
    for case let session? in sessions where session.stage == .ready { opened.append(presenceEntry(of: session)) }
    watchPresenceAnew()
    sendGathered()
    port.toPresence([], snapshotEnds: true)
  }

  private func presenceEntry(of session: Session) -> Sessions.Entry {
    Sessions.Entry(
      session: session.number, user: session.user, device: session.device, platform: session.platform,
      connectionID: session.connectionID, connectedMilliseconds: session.openedMilliseconds,
      isShown: session.isPresent)
  }

  /// Tells which sessions were heard of since the last time, the pongs included that browsers send by themselves: a part of
  /// the slab each second, so that neither this loop nor the presence worker has all of them to go through at once. A
  /// part that was missed, because the loop was held up, is made up for.
  func reportSeen(seconds: ClosedRange<UInt32>) {
    let parts = HubLimits.seenReportSeconds
    var seen: [SessionsSeen.Entry] = []
    for second in seconds.suffix(Int(parts)) {
      for slot in stride(from: Int(second % parts), to: sessions.count, by: Int(parts)) {
        guard let session = sessions[slot], session.stage == .ready, session.isPresent,
          writer.nowSeconds &- writer.lastReceived(session.connection) <= parts
        else { continue }
        seen.append(SessionsSeen.Entry(session: session.number, active: session.isActive))
        session.isActive = false
      }
    }
    for batch in seen.batches() { toPresence.frame(SessionsSeen(entries: batch)) }
  }

  /// Sends those away whose turn comes before the next tick. Who is still connecting comes last: it would have come for
  /// nothing.
  func drainSome() {
    guard let drain else { return }
    let isOver = drain.isOver
    let ready = sessions.count { $0.map { $0.stage == .ready || isOver && $0.stage != .closing } ?? false }
    guard ready > 0 else { return }
    var turns = drain.take(ready)
    for case let session? in sessions where session.stage == .ready || isOver && session.stage != .closing {
      guard let turn = turns.popFirst() else { break }
      let retry = drain.retryAfter(turn)
      guard session.stage == .ready || session.entry?.answer == nil else {
        refuse(session, CallError(.unavailable, "this instance is stopping", retryAfterMilliseconds: Int(retry)))
        continue
      }
      send(session) { $0.goaway(retryAfterMilliseconds: retry) }
      // Some clients come back by themselves, and are told when.
      if face == .eventStream { queue(session, Array("retry: \(retry)\n\n".utf8)) }
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

  /// Takes a session's subscriptions to these topics, named by index, out of it and ends them.
  func unsubscribe(_ session: Session, _ topics: Set<UInt32>) {
    guard !topics.isEmpty else { return }
    if session.stage == .ready, schedulerIsUp {
      writeAcknowledgements()  // while they count
      let names = topics.compactMap { self.topics[Int($0)]?.topic }
      for batch in names.batches() { toScheduler.frame(Leave(session: session.number, topics: batch)) }
    }
    var before = Subscription.none
    forEachSubscription(of: session) { index in
      guard topics.contains(subscriptions[index].topic) else {
        before = index
        return
      }
      if before == Subscription.none {
        session.firstSubscription = subscriptions[index].next
      } else {
        subscriptions[before].next = subscriptions[index].next
      }
      session.subscriptionCount -= 1
      leave(index)
    }
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
