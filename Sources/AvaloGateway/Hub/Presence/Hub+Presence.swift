import AvaloCore
import AvaloReactor
import AvaloWire

// Watching users: subscribe → watch → a snapshot → changes. Of no log: no offsets, nothing to acknowledge. While the presence
// worker is away sessions keep what they know; a new link begins with all watches, and only what is news goes on.
extension Hub {

  // MARK: - Subscribing

  /// Adds subscriptions to users' presence that the session does not have yet.
  func joinPresence(_ session: Session, _ topics: [Topic]) {
    guard !topics.isEmpty else { return }
    var has = Set(presence.users(of: session.connection))
    for topic in topics where has.insert(String(topic.id)).inserted {
      let (subscription, isNew) = presence.join(session.connection, to: String(topic.id), loop: loop)
      metrics.subscriptions.add(1)
      if isNew { watch(presence.topic(of: subscription)) }
      if session.stage == .ready { sendSnapshot(subscription, to: session) }
    }
  }

  /// Why a session may not watch these users besides those it watches.
  func refusal(of topics: [Topic], _ session: Session) -> CallError? {
    guard !topics.isEmpty else { return nil }
    guard session.isPresent else { return policy.access.flags.presence.refusal(for: session.user) }
    let max = policy.limits.presenceTopicsMax
    let users = Set(presence.users(of: session.connection)).union(topics.map { String($0.id) })
    guard users.count > max else { return nil }
    return .over(
      .presenceTopics, max: max,
      "a connection may watch the presence of \(max) users, and this would make \(users.count)")
  }

  func leavePresence(_ session: Session, _ topics: [Topic]) {
    guard !topics.isEmpty else { return }
    let before = presence.count
    for left in presence.leave(session.connection, from: topics.map { String($0.id) }) { unwatch(left) }
    metrics.subscriptions.add(Double(presence.count - before))
  }

  func endPresence(_ session: Session) {
    let before = presence.count
    watcherChats.leave(session.connection)
    for left in presence.leaveAll(session.connection) { unwatch(left) }
    metrics.subscriptions.add(Double(presence.count - before))
  }

  func presenceTopics(of session: Session) -> [Topic] {
    presence.count(of: session.connection) == 0
      ? [] : presence.users(of: session.connection).compactMap { Topic("presence:" + $0) }
  }

  /// What is known is sent, to a session that has become ready or whose connection has room again.
  func catchUpPresence(_ session: Session) {
    guard session.stage == .ready, presence.count(of: session.connection) > 0 else { return }
    for subscription in presence.subscriptions(of: session.connection).reversed() where presence[subscription].owes {
      sendSnapshot(subscription, to: session)
    }
  }

  // MARK: - The link

  private func watch(_ topic: PresenceTopic) {
    presenceWatches.append(WatchPresence.Entry(handle: topic.handle, version: topic.version, user: topic.user))
  }

  private func unwatch(_ topic: PresenceTopic) { presenceUnwatches.append(topic.handle) }

  /// A new link: it knows nothing of what was watched.
  func watchPresenceAnew() {
    presence.forgetLeaving()
    for topic in presence.watched { topic.withholdAnew(nowSeconds: writer.nowSeconds) }
    presenceUnwatches.removeAll()
    presenceWatches = presence.watched.map {
      WatchPresence.Entry(handle: $0.handle, version: $0.version, user: $0.user)
    }
  }

  func writePresenceWatches() {
    for batch in presenceUnwatches.batches() { toPresence.frame(UnwatchPresence(handles: batch)) }
    for batch in presenceWatches.batches() { toPresence.frame(WatchPresence(entries: batch)) }
    presenceUnwatches.removeAll(keepingCapacity: true)
    presenceWatches.removeAll(keepingCapacity: true)
  }

  /// Frames from the presence worker, in its order; some concern other loops.
  func receivedPresence(_ frames: UnsafeRawBufferPointer) {
    takeFrames(frames, from: "presence", break: { port.breakPresenceLink(reason: $0) }) {
      (head, body) throws(WireError) in try receivedPresence(head, body)
    }
  }

  private func receivedPresence(_ head: Frame.Head, _ body: UnsafeRawBufferPointer) throws(WireError) {
    switch head.kind {
    case .presenceChanged: changed(try PresenceChanged(body: body))
    case .presenceUnwatched:
      for handle in try PresenceUnwatched(body: body).handles {
        if let topic = presenceTopic(handle), topic.isLeaving { presence.forget(topic) }
      }
    case .typingChanged: changed(try TypingChanged(body: body))
    case .describeSessions: describe(try DescribeSessions(body: body).sessions, head.correlation)
    case .endSessions: end(try EndSessions(body: body))
    default: throw .unexpectedKind(head.kind.rawValue)
    }
  }

  private func presenceTopic(_ handle: UInt32) -> PresenceTopic? {
    handle >> 24 == UInt32(loop) ? presence.topic(at: handle & PresenceTopic.indexMax) : nil
  }

  // MARK: - Telling

  private func changed(_ change: PresenceChanged) {
    for handle in change.handles {
      guard let topic = presenceTopic(handle), !topic.isLeaving, change.version > topic.version else { continue }
      let before = topic.version == 0 ? nil : topic.known
      topic.take(change, nowSeconds: writer.nowSeconds)
      if !topic.withheld.isEmpty { presence.withholding.insert(topic.index) }
      tell(topic, before)
    }
  }

  /// Tells those for whom it is news. Each kind of viewer's frame is made once.
  private func tell(_ topic: PresenceTopic, _ before: PresenceKnown?) {
    var frames = PresenceFrames()
    let dependsOnViewer = topic.known.state.dependsOnViewer || before?.state.dependsOnViewer == true
    if let before, !dependsOnViewer, before.news(for: .stranger) == topic.known.news(for: .stranger) { return }
    var told = 0
    for place in 0..<Int(topic.subscribers.count) {
      let subscription = topic.subscribers[place]
      let connection = presence[subscription].connection
      guard let session = session(of: connection), session.stage == .ready else { continue }
      if presence[subscription].owes {
        sendSnapshot(subscription, to: session)
        continue
      }
      guard let viewer = dependsOnViewer ? viewer(session, of: topic.user, topic.known.chats) : .stranger else {
        // It is sent when it is known to whom.
        presence[subscription].owes = true
        continue
      }
      if dependsOnViewer, let before, before.news(for: presence[subscription].shown) == topic.known.news(for: viewer) {
        presence[subscription].shown = viewer
        continue
      }
      guard writer.backlog(connection) <= policy.limits.backlogBytesMax else {
        // Only the last state counts: it is sent when there is room.
        presence[subscription].owes = true
        parkedThisTurn.append(connection)
        metrics.presenceCoalesced.add(1)
        continue
      }
      if dependsOnViewer { presence[subscription].shown = viewer }
      let frame = frames[viewer] ?? presenceFrame(topic, for: viewer, isSnapshot: false)
      frames[viewer] = frame
      writer.queue(connection, frame)
      told += 1
    }
    metrics.delivered(.presenceUpdate, .live).add(told)
  }

  /// Sends the present state whole, once it is known, and known what of it the session may see, and there is room.
  func sendSnapshot(_ subscription: UInt32, to session: Session) {
    let topic = presence.topic(of: subscription)
    guard topic.version != 0 else { return }
    let dependsOnViewer = topic.known.state.dependsOnViewer
    guard let viewer = dependsOnViewer ? viewer(session, of: topic.user, topic.known.chats) : .stranger else {
      return
    }
    guard writer.backlog(session.connection) <= policy.limits.backlogBytesMax else {
      return parkedThisTurn.append(session.connection)
    }
    presence[subscription].owes = false
    presence[subscription].shown = viewer
    writer.queue(session.connection, presenceFrame(topic, for: viewer, isSnapshot: true))
    metrics.delivered(.presenceUpdate, .replay).add(1)
  }

  private func presenceFrame(
    _ topic: PresenceTopic, for viewer: PresenceState.Viewer, isSnapshot: Bool
  ) -> UnsafeRawBufferPointer {
    var frames = FrameRun(writer: writer)
    text.clear()
    text.presence(
      topic.user, topic.known.state.seen(by: viewer), version: topic.version, isSnapshot: isSnapshot,
      nowMilliseconds: clock.milliseconds)
    text.bytes.withUnsafeBytes { frames.append($0) }
    return frames.bytes
  }

  // MARK: - For servers

  /// Says what sessions of this loop are subscribed to, as far as it fits.
  private func describe(_ numbers: [UInt64], _ correlation: UInt32) {
    let own = Set(numbers.filter { $0 >> 56 == UInt64(loop) })
    guard !own.isEmpty else { return }
    var found: [UInt64: SessionSubscriptions] = [:]
    for case let session? in sessions where own.contains(session.number) {
      let topics = topics(of: session) + presenceTopics(of: session)
      found[session.number] = SessionSubscriptions(
        count: UInt32(topics.count), topics: Array(topics.prefix(SessionSubscriptions.topicsMax)))
    }
    let entries = own.sorted().map {
      SessionsDescribed.Entry(session: $0, subscriptions: found[$0] ?? SessionSubscriptions())
    }
    toPresence.frame(SessionsDescribed(entries: entries), correlation: correlation)
  }

  private func end(_ end: EndSessions) {
    let own = Set(end.sessions.filter { $0 >> 56 == UInt64(loop) })
    guard !own.isEmpty else { return }
    let code = end.mayReturn ? CloseCode.reconnect : .disconnected
    for case let session? in sessions where own.contains(session.number) && session.stage != .closing {
      // A poll has no last word but its answer.
      if face == .poll { self.end(session, with: .ended(code), code) } else { close(session, code) }
    }
  }
}

/// The frames of one change, by who looks.
private struct PresenceFrames {
  private var owner: UnsafeRawBufferPointer?
  private var partner: UnsafeRawBufferPointer?
  private var stranger: UnsafeRawBufferPointer?

  subscript(viewer: PresenceState.Viewer) -> UnsafeRawBufferPointer? {
    get {
      switch viewer {
      case .owner: owner
      case .chatPartner: partner
      case .stranger: stranger
      }
    }
    set {
      switch viewer {
      case .owner: owner = newValue
      case .chatPartner: partner = newValue
      case .stranger: stranger = newValue
      }
    }
  }
}

extension JSONWriter {
  /// `{"event":{…},"topic":"presence:u","version":7}`, with `"snapshot":true` when it is what is and not what has changed.
  fileprivate mutating func presence(
    _ user: String, _ state: PresenceState, version: UInt64, isSnapshot: Bool, nowMilliseconds: Int64
  ) {
    object {
      $0.key(ServerFrameKind.event.key)
      $0.object {
        $0.member("eventId", "prs_\(version)")
        $0.member("type", EventType.presenceUpdate.wireName)
        $0.member("sourceUserId", user)
        $0.key("payload")
        $0.object {
          $0.member("userId", user)
          $0.members(state)
        }
        $0.member("timestamp", nowMilliseconds)
      }
      $0.member("topic", "presence:" + user)
      $0.member("version", version)
      if isSnapshot { $0.member("snapshot", true) }
    }
  }
}
