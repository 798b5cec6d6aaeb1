import AvaloCore
import AvaloWire

// What the scheduler knows of a session: its device, where that stopped, and where the user is a member.
extension Hub {

  /// Registers the session at the scheduler with all its topics. Sent again after a new link: the scheduler takes
  /// acknowledgements where it knows of a cursor, and looks at every membership anew before anything of its topic arrives.
  func attach(_ session: Session) {
    guard let token = session.token else { return }
    writeAcknowledgements()
    askLease(session)
    if session.stage == .attaching {
      // Of an earlier link, whose answers do not count.
      session.entry?.registered = nil
      askReads(session)
    }
    // A frame has room for so many names.
    let batches = joiners(of: session).batches()
    let first = batches.first ?? []
    let correlation = requests.insert(
      .attach(session: session.number, slot: session.connection.slot, joiners: first), loop: loop,
      isRecheck: session.stage == .ready)
    toScheduler.frame(
      Attach(
        session: session.number, token: token, device: session.isDevice ? session.device : "",
        platform: session.platform,
        topics: first.map(wanted), ticket: session.entry?.ticket ?? "",
        isPassing: session.isDevice && session.device == session.connectionID),
      correlation: correlation)
    for batch in batches.dropFirst() { askCursors(session, batch, isRecheck: session.stage == .ready, done: nil) }
  }

  /// Asks where the device stopped in topics that a registered session joins, and where the user is a member.
  func askCursors(
    _ session: Session, _ joiners: [Joiner], isRecheck: Bool = false, done: RequestTable.Completion?
  ) {
    // Without a link the next attach asks, and a call is refused rather than left hanging.
    guard schedulerIsUp else {
      done?(.failure(.schedulerAway))
      return
    }
    writeAcknowledgements()
    let correlation = requests.insert(
      .cursors(session: session.number, slot: session.connection.slot, joiners: joiners, done: done), loop: loop,
      isRecheck: isRecheck)
    toScheduler.frame(
      Cursors(session: session.number, user: session.user, topics: joiners.map(wanted)), correlation: correlation)
  }

  private func wanted(_ joiner: Joiner) -> Attach.Wanted {
    Attach.Wanted(
      topic(of: joiner.subscription).topic, isGranted: !subscriptions[joiner.subscription].isByMembership)
  }

  private func joiners(of session: Session) -> [Joiner] {
    var joiners: [Joiner] = []
    forEachSubscription(of: session) { joiners.append(Joiner(subscription: $0, topic: subscriptions[$0].topic)) }
    return joiners
  }

  // MARK: - Answers

  /// The scheduler has registered a session, or looked up more of its cursors.
  func attached(_ correlation: UInt32, _ answers: [Attached.Answer]) {
    switch requests.remove(correlation) {
    case .attach(let number, let slot, let joiners):
      guard let session = session(number, slot) else { return }
      let denied = take(answers, for: joiners, of: session)
      guard session.stage == .attaching else {
        tellUnsubscribed(session, denied)
        return begin(joiners, session)
      }
      session.deny(denied)
      noteDenials(session, denied)
      if let entry = session.entry, entry.awaitsReads { entry.registered = joiners } else { admit(session, joiners) }
    case .cursors(let number, let slot, let joiners, let done):
      guard let session = session(number, slot) else { return }
      let denied = take(answers, for: joiners, of: session)
      // More names than fit into its attach, while it waits to be let in.
      if session.stage == .attaching, let entry = session.entry, let registered = entry.registered {
        session.deny(denied)
        noteDenials(session, denied)
        entry.registered = registered + joiners
        return
      }
      if let done { done(.success(denied)) } else { tellUnsubscribed(session, denied) }
      begin(joiners, session)
    case .read, .reads, .receipts, nil:
      // Asked on an earlier link; that link's answers were given up with it.
      break
    }
  }

  func cursorsFailed(
    _ session: Session?, _ joiners: [Joiner], _ done: RequestTable.Completion?, _ failure: Failed
  ) {
    guard let session else { return }
    let given = joiners.filter { isOwn($0, session) && subscriptions[$0.subscription].state == .joining }
    unsubscribe(session, Set(given.map(\.topic)))
    let error = CallError(failure)
    if let done { done(.failure(error)) } else { refuse(session, error) }
  }

  func attachFailed(_ session: Session?, _ failure: Failed) {
    guard let session else { return }
    // Of a token that was revoked since it was verified here.
    if failure.code == .unauthenticated, let token = session.token, policy.access.revocations.covers(token) {
      return cut(session)
    }
    refuse(session, CallError(failure))
  }

  private func refuseAll(_ session: Session) {
    let denied = session.entry?.denied ?? []
    guard !denied.contains(where: { $0.code == .unavailable }) else {
      return refuse(session, .membershipUnknown, code: .unavailable)
    }
    let topics = denied.map(\.topic)
    refuse(
      session,
      CallError(
        .permissionDenied, "none of the topics asked for is allowed: \(topics.prefix(3).joined(separator: ", "))"),
      code: .permissionDenied)
  }

  /// The session is registered, and all that `ready` says is known.
  func admit(_ session: Session, _ joiners: [Joiner]) {
    guard session.subscriptionCount > 0 || presence.count(of: session.connection) > 0 else {
      return refuseAll(session)
    }
    becomeReady(session)
    begin(joiners, session)
  }

  private func begin(_ joiners: [Joiner], _ session: Session) {
    for joiner in joiners where isOwn(joiner, session) { start(joiner.subscription) }
  }

  /// Notes what was answered, and ends what was refused.
  private func take(
    _ answers: [Attached.Answer], for joiners: [Joiner], of session: Session
  ) -> [AccessRules.Grant.Denial] {
    guard answers.count == joiners.count else { return [] }
    var denied: [AccessRules.Grant.Denial] = []
    var lost = Set<UInt32>()
    for (joiner, answer) in zip(joiners, answers) where isOwn(joiner, session) {
      switch answer {
      case .granted(let position, let since):
        if joining[joiner.subscription] != nil {
          if joining[joiner.subscription]?.stored == nil { joining[joiner.subscription]?.stored = position }
          joining[joiner.subscription]?.since = since
        } else if position.epoch == topic(of: joiner.subscription).position.epoch {
          hide(joiner.subscription, before: since, session)
        }
      case .denied(let code):
        denied.append(policy.access.denial(of: topic(of: joiner.subscription).topic, code, to: session.user))
        lost.insert(joiner.topic)
      }
    }
    if session.stage == .ready { noteDenials(session, denied, losing: lost) }
    unsubscribe(session, lost)
    return denied
  }

  private func isOwn(_ joiner: Joiner, _ session: Session) -> Bool {
    let subscription = subscriptions[joiner.subscription]
    return subscription.connection == session.connection && subscription.topic == joiner.topic
  }
}
