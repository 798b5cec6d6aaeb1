import AvaloCore
import AvaloReactor
import AvaloWire

// What a session is to the users whose presence it watches: chat partners see what others do not. Who is a member of which
// chat the log knows: it is asked about a session where that makes a difference, and says itself what it takes away. While
// there is no link to it, nobody is a partner by it.
extension Hub {

  /// What the session's user is to the one they look at, who is in these chats; `nil` while the log has yet to say it.
  func viewer(_ session: Session, of user: String, _ chats: Set<String>) -> PresenceState.Viewer? {
    if session.user == user { return .owner }
    guard !chats.isEmpty else { return .stranger }
    var isPartner = false
    // This first: it makes no strings.
    forEachSubscription(of: session) { index in
      guard !isPartner, let chat = topic(of: index).topic.chatID, chats.contains(chat) else { return }
      isPartner = isAdmitted(index)
    }
    if isPartner { return .chatPartner }
    let isMember: Bool? = policy.access.rules.hasMembers ? watcherChats.isMember(session.connection, of: chats) : false
    if isMember == true, accessIsCurrent { return .chatPartner }
    if let identity = session.identity, chats.contains(where: { policy.access.isParticipant(identity, of: $0) }) {
      return .chatPartner
    }
    switch isMember {
    case false: return .stranger
    // Who was removed may not have come through yet.
    case true: watcherChats.holdsNews = true
    case nil: watcherChats.want(session.connection)
    }
    return schedulerIsUp ? nil : .stranger
  }

  /// Shows the session what it may see now, where that is another part than it was shown, and what it is owed.
  private func review(_ session: Session) {
    guard session.stage == .ready else { return }
    for subscription in presence.subscriptions(of: session.connection).reversed() {
      review(subscription, of: session)
    }
  }

  private func review(_ subscription: UInt32, of session: Session) {
    if !presence[subscription].owes {
      let topic = presence.topic(of: subscription)
      guard topic.known.state.dependsOnViewer else { return }
      let viewer = viewer(session, of: topic.user, topic.known.chats)
      if viewer.map({ topic.known.news(for: $0) }) == topic.known.news(for: presence[subscription].shown) { return }
      presence[subscription].owes = true
    }
    sendSnapshot(subscription, to: session)
  }

  /// Likewise whoever watches the topic's user.
  private func reviewSubscribers(of topic: PresenceTopic) {
    for place in 0..<Int(topic.subscribers.count) {
      let subscription = topic.subscribers[place]
      guard let session = session(of: presence[subscription].connection), session.stage == .ready else { continue }
      review(subscription, of: session)
    }
  }

  private func reviewWatchers() {
    for connection in watcherChats.connections { if let session = session(of: connection) { review(session) } }
  }

  // MARK: - Asking

  /// At a turn's end; what the gateway's pace leaves waits for another second.
  func askMemberships() {
    guard schedulerIsUp else { return }
    let now = writer.nowSeconds
    while let question = watcherChats.takeQuestion(if: { membershipPace.take(nowSeconds: now, isAgain: $0) }) {
      guard let session = session(of: question.connection) else {
        membershipPace.answered(chats: 0, askedIn: now)
        _ = watcherChats.answer(question, nil, nowSeconds: now)
        continue
      }
      let query = MembershipsQuery(user: session.user, limit: UInt32(Limits.presenceChatsMax))
      calls.services.ask(query) { [weak self, membershipPace] in
        let memberships = try? $0.get()
        membershipPace.answered(chats: memberships?.chats.count ?? 0, askedIn: now)
        self?.answered(question, memberships)
      }
    }
  }

  private func answered(_ question: WatcherChats.Question, _ memberships: Memberships?) {
    guard watcherChats.answer(question, memberships?.chats, nowSeconds: writer.nowSeconds),
      let session = session(of: question.connection)
    else { return }
    review(session)
  }

  /// Once a second: who is shown less than there is may have become a member, and what waited for word of what was taken
  /// away goes on.
  func refreshMemberships() {
    giveBackChats()
    guard schedulerIsUp else { return }
    if watcherChats.holdsNews, accessIsCurrent {
      watcherChats.holdsNews = false
      reviewWatchers()
    }
    watcherChats.refresh(nowSeconds: writer.nowSeconds) { isShownLess($0) }
  }

  private func isShownLess(_ connection: ConnectionID) -> (Bool, looks: Int) {
    presence.find(of: connection) {
      $0.shown == .stranger && presence.topic(at: $0.topic)?.known.state.hasPartsForPartners == true
    }
  }

  /// Not without the presence worker, which may have more to say.
  private func giveBackChats() {
    guard !presenceIsAway else { return }
    for index in presence.withholding {
      guard let topic = presence.topic(at: index), !topic.isLeaving else {
        presence.withholding.remove(index)
        continue
      }
      if topic.giveBack(nowSeconds: writer.nowSeconds) { reviewSubscribers(of: topic) }
      if topic.withheld.isEmpty { presence.withholding.remove(index) }
    }
  }

  // MARK: - Ending

  /// Before the step is confirmed: nothing is written after it that only partners may see. Of those who are watched the
  /// presence worker is told, too, and will say it again.
  func endPartnerships(_ name: Topic, of users: [String]) {
    guard presence.count > 0, let chat = name.chatID else { return }
    for user in users {
      forEachSession(of: user) { session in
        guard presence.count(of: session.connection) > 0 else { return }
        watcherChats.remove(chat, from: session.connection)
        review(session)
      }
      guard let topic = presence.topic(ofUser: user), topic.end(chat, nowSeconds: writer.nowSeconds) else { continue }
      reviewSubscribers(of: topic)
    }
  }

  /// What was shown is not taken back, and what comes is shown without the parts for partners: it may be that the log
  /// answers that a member is gone, and this gateway cannot hear of it.
  func partnersLost() {
    watcherChats.linkLost()
    watcherChats.holdsNews = false
    for connection in watcherChats.connections { if let session = session(of: connection) { catchUpPresence(session) } }
  }
}
