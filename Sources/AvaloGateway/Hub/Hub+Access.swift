import AvaloCore
import AvaloWire

// Rights that end while a session lives: tokens that are revoked or refreshed, memberships that are taken away.
extension Hub {

  /// Whether it is known which tokens stand. Without it calls are refused, and nothing ephemeral goes to topics that not
  /// everybody may see; durable events do not arrive then.
  var accessIsCurrent: Bool { policy.access.revocations.isCurrent }

  /// Whether a subscription's user is known to be let in. It may be that the scheduler has yet to say so; what comes from
  /// elsewhere is not for them before.
  func isAdmitted(_ index: UInt32) -> Bool {
    guard subscriptions[index].isByMembership else { return true }
    if let known = joining[index], known.stored == nil { return false }
    return schedulerIsUp && requests.isChecked
  }

  /// Subscriptions to some of these topics of which it is not known whether the session is let in.
  func undecided(_ topics: [Topic], of session: Session) -> [Joiner] {
    let topics = Set(topics)
    var joiners: [Joiner] = []
    forEachSubscription(of: session) {
      guard !isAdmitted($0), topics.contains(topic(of: $0).topic) else { return }
      joiners.append(Joiner(subscription: $0, topic: subscriptions[$0].topic))
    }
    return joiners
  }

  /// The topics that a session was let into.
  func admittedTopics(of session: Session) -> [Topic] {
    var topics: [Topic] = []
    forEachSubscription(of: session) { if isAdmitted($0) { topics.append(topic(of: $0).topic) } }
    return topics.reversed()
  }

  /// A step of the access log. What came before it on the link was before it: it was still theirs. The process' table of
  /// revocations has it already.
  func apply(_ access: AccessChanged) {
    for change in access.changes {
      switch change {
      case .revoked(let revocation): cut(revocation)
      case .removed(let topic, let users):
        endMemberships(topic, of: users)
        endPartnerships(topic, of: users)
      case .released: break
      }
    }
    if let schedulerLink { port.accessApplied(access.position, loop: loop, link: schedulerLink) }
  }

  // MARK: - Tokens

  private func cut(_ revocation: Revocation) {
    switch revocation.target {
    case .user(let user): forEachSession(of: user) { cutIfRevoked($0) }
    case .token(let id): for session in sessions(withToken: id) { cutIfRevoked(session) }
    case .everybody: cutRevoked()
    }
  }

  /// A session has got a token, or another one.
  func noteToken(of session: Session) {
    let slot = session.connection.slot
    tokens.remove(slot)
    session.withTokenID { if !$0.isEmpty { tokens.insert(slot, hash: HashIndex.hash($0)) } }
  }

  private func sessions(withToken id: String) -> [Session] {
    var id = id
    return id.withUTF8 { bytes in
      let id = UnsafeRawBufferPointer(bytes)
      return tokens.slots(HashIndex.hash(id)).compactMap { slot in
        sessions[Int(slot)].flatMap { $0.withTokenID { $0.elementsEqual(id) } ? $0 : nil }
      }
    }
  }

  /// Looks at every session, as at the state that a new link begins with.
  func cutRevoked() {
    guard !policy.access.revocations.isEmpty else { return }
    for case let session? in sessions { cutIfRevoked(session) }
  }

  private func cutIfRevoked(_ session: Session) {
    guard session.stage != .closing, let token = session.token, policy.access.revocations.covers(token) else { return }
    cut(session)
  }

  func cut(_ session: Session) { refuse(session, .revoked, code: .revoked) }

  /// A new token on a live connection: what it does not allow ends, what only a membership allows is asked for.
  func judgeAnew(_ session: Session, _ identity: Identity, after last: Identity) {
    let open = policy.access.undecided(topics(of: session).map(\.name), for: identity)
    guard let webhook = policy.access.membership, !open.isEmpty else { return judge(session, identity, after: last) }
    // Until it has answered, what the last token allowed goes on.
    let (number, slot) = (session.number, session.connection.slot)
    calls.services.membership(webhook, identity.user, open) { [weak self] in
      guard let self, let session = self.session(number, slot), let identity = session.identity else { return }
      judge(session, identity, after: last)
    }
  }

  private func judge(_ session: Session, _ identity: Identity, after last: Identity) {
    let topics = topics(of: session)
    let grant = policy.access.grant(topics.map(\.name), to: identity)
    let allowed = Set(grant.granted)
    var asked: [Joiner] = []
    forEachSubscription(of: session) { index in
      let topic = topic(of: index).topic
      guard grant.ifMember.contains(topic) else { return subscriptions[index].isByMembership = false }
      // What the webhook may have granted stands until it says otherwise.
      guard !subscriptions[index].isByMembership, !policy.access.mayStay(topic, after: last) else { return }
      subscriptions[index].isByMembership = true
      asked.append(Joiner(subscription: index, topic: subscriptions[index].topic))
    }
    let lost = topics.filter { !allowed.contains($0) && !policy.access.mayStay($0, after: last) }
    let denials = lost.map { policy.access.denial(of: $0, .permissionDenied, to: identity.user) }
    noteDenials(session, denials, losing: Set(lost.compactMap { find($0)?.index }))
    unsubscribe(session, from: lost)
    for (topic, denial) in zip(lost, denials) {
      send(session) { $0.unsubscribed(topic, CallError(denial.code, "the new token does not allow \(topic)")) }
    }
    for batch in asked.batches() { askCursors(session, batch, done: nil) }
  }

  // MARK: - Memberships

  private func endMemberships(_ name: Topic, of users: [String]) {
    guard let topic = find(name) else { return }
    for user in users {
      forEachSession(of: user) { session in
        var stands = false
        forEachSubscription(of: session) {
          if subscriptions[$0].topic == topic.index, subscriptions[$0].isByMembership { stands = true }
        }
        guard stands else { return }
        let denied = [AccessRules.Grant.Denial(topic: name.name, code: .permissionDenied)]
        noteDenials(session, denied, losing: [topic.index])
        unsubscribe(session, [topic.index])
        if session.stage == .attaching { session.deny(denied) } else { tellUnsubscribed(session, denied) }
      }
    }
  }

  /// Tells of subscriptions that have ended because the user is no member.
  func tellUnsubscribed(_ session: Session, _ denied: [AccessRules.Grant.Denial]) {
    for denial in denied {
      guard let topic = Topic(denial.topic) else { continue }
      metrics.membershipsEnded.add(1)
      let message =
        denial.code == .unavailable
        ? "whether you are a member of \(topic) cannot be told at the moment: subscribe again"
        : "you are no member of \(topic)"
      send(session) { $0.unsubscribed(topic, CallError(denial.code, message)) }
    }
  }

  /// The user's membership began anew after what the subscription was written: what lies between is not theirs.
  func hide(_ index: UInt32, before since: UInt64, _ session: Session) {
    let topic = topic(of: index)
    let written = subscriptions[index].state == .live ? topic.position.offset : subscriptions[index].cursor
    guard since > written + 1 else { return }
    if subscriptions[index].state == .live {
      settle(topic)
      move(index, to: .behind)
    }
    if subscriptions[index].reading {
      reads.remove(index, from: ReadKey(topic: subscriptions[index].topic, after: subscriptions[index].cursor))
      subscriptions[index].reading = false
    }
    if let overtaken = ahead[index]?.filter({ $0 >= since }) { ahead[index] = overtaken.isEmpty ? nil : overtaken }
    subscriptions[index].cursor = since - 1
    tellHidden(session, topic, after: written, through: since - 1)
    noteProgress(session.connection)
    readOn(index)
  }

  func tellHidden(_ session: Session, _ topic: WatchedTopic, after: UInt64, through: UInt64) {
    send(session) { $0.gap(topic.topic, Hole(from: after + 1, to: through, reason: .membership)) }
    metrics.gaps(.membership).add(1)
  }
}
