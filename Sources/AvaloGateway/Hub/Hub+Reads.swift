import AvaloCore
import AvaloReactor
import AvaloWire

// Read state on its way to sessions: told when they come in, and as it changes.
extension Hub {

  /// Asks what a session's user has not read. It is counted while the session is attached, and said in `ready`.
  func askReads(_ session: Session) {
    // A poll has no `ready`.
    guard face != .poll else { return }
    if session.entry == nil { session.entry = Session.Entry() }
    session.entry?.awaitsReads = true
    session.entry?.receipts.removeAll()
    readQueries.append(
      (
        QueryReads(user: session.user, chats: topics(of: session).compactMap(\.chatID)),
        requests.insert(.reads(session: session.number, slot: session.connection.slot), loop: loop)
      ))
  }

  func entered(_ correlation: UInt32, _ state: ReadState) {
    switch requests.remove(correlation) {
    case .reads(let number, let slot): entered(session(number, slot), state)
    case .receipts(let number, let slot):
      guard let session = session(number, slot), session.stage == .ready else { return }
      tell(state.receipts, to: session)
    default: break
    }
  }

  /// - `state`: `nil` when it is not known: the session comes in without.
  func entered(_ session: Session?, _ state: ReadState?) {
    guard let session, session.stage == .attaching, let entry = session.entry else { return }
    entry.reads = state
    entry.awaitsReads = false
    if let joiners = entry.registered { admit(session, joiners) }
  }

  // MARK: - What was missed

  /// A session that was too slow for a receipt reads again: where does everybody stand?
  func askMissedReceipts(_ session: Session) {
    guard schedulerIsUp, session.stage == .ready else { return }
    let chats = admittedTopics(of: session).compactMap(\.chatID)
    guard !chats.isEmpty else { return }
    toScheduler.frame(
      QueryReads(user: session.user, chats: chats),
      correlation: requests.insert(
        .receipts(session: session.number, slot: session.connection.slot), loop: loop))
  }

  /// Those of chats that the session is still in; it knows by their versions which are new.
  private func tell(_ receipts: [ReadState.Receipt], to session: Session) {
    let topics = Set(admittedTopics(of: session))
    for receipt in receipts.sorted(by: { $0.version < $1.version }) {
      guard let topic = Topic.chat(receipt.chat), topics.contains(topic) else { continue }
      receipt.record().withUnsafeBytes { bytes in
        guard let record = EventRecord(bytes) else { return }
        send(session) { $0.latest(record, topic: topic, version: receipt.version) }
      }
    }
  }

  // MARK: - As it changes

  /// Leaves out what was asked of chats that the session was not let into.
  func trimReads(of session: Session) {
    guard let entry = session.entry, !entry.denied.isEmpty else { return }
    let denied = Set(entry.denied.compactMap { Topic($0.topic)?.chatID })
    entry.reads?.unread.removeAll { denied.contains($0.chat) }
    entry.reads?.receipts.removeAll { denied.contains($0.chat) }
  }

  /// Keyed state has changed: every session that is subscribed to one of its topics is told, once. One that is too slow is
  /// not: it has enough to do, and hears where everybody stands when it reads again.
  func latest(_ latest: Latest) {
    latestVersion = max(latestVersion, latest.version)
    var told = Set<UInt32>()
    for index in 0..<latest.targetCount {
      guard let topic = topic(handle: latest.target(index)), topic.hasSubscribers else { continue }
      // What it is about may be among this turn's events.
      settle(topic)
      var frames = FrameRun(writer: writer)
      text.clear()
      text.latest(latest.record, topic: topic.topic, version: latest.version)
      text.bytes.withUnsafeBytes { frames.append($0) }
      for place in 0..<Int(topic.live.count) { tell(topic.live[place], latest.version, frames.bytes, &told) }
      for place in 0..<Int(topic.waiting.count) { tell(topic.waiting[place], latest.version, frames.bytes, &told) }
    }
    metrics.delivered(latest.record.type, .live).add(told.count)
  }

  private func tell(
    _ subscription: UInt32, _ version: UInt64, _ frame: UnsafeRawBufferPointer, _ told: inout Set<UInt32>
  ) {
    let connection = subscriptions[subscription].connection
    guard let session = session(of: connection) else { return }
    // It may not be in what was counted for this session: said behind `ready`, if the topic is the session's then.
    if let entry = session.entry, session.stage == .attaching {
      return hold(
        Session.Entry.Receipt(
          subscription: subscription, topic: subscriptions[subscription].topic, version: version, frame: Array(frame)),
        entry, session)
    }
    guard isAdmitted(subscription), session.stage == .ready, told.insert(connection.slot).inserted else { return }
    guard writer.backlog(connection) <= policy.limits.backlogBytesMax else {
      missedReceipts.insert(session.number)
      return
    }
    writer.queue(connection, frame)
  }

  private func hold(_ receipt: Session.Entry.Receipt, _ entry: Session.Entry, _ session: Session) {
    guard entry.receipts.count < HubLimits.heldReceiptsMax else {
      missedReceipts.insert(session.number)
      return
    }
    entry.receipts.append(receipt)
  }

  /// What changed between counting and `ready`, each once; more than could be held is asked for.
  func tellHeld(_ receipts: [Session.Entry.Receipt], to session: Session) {
    var told = Set<UInt64>()
    for receipt in receipts {
      let subscription = subscriptions[receipt.subscription]
      guard subscription.connection == session.connection, subscription.topic == receipt.topic,
        isAdmitted(receipt.subscription), told.insert(receipt.version).inserted
      else { continue }
      receipt.frame.withUnsafeBytes { writer.queue(session.connection, $0) }
    }
    if missedReceipts.remove(session.number) != nil { askMissedReceipts(session) }
  }
}

extension Topic {
  /// The chat's id, of a chat's topic.
  var chatID: String? { kind == "chat" ? String(id) : nil }
}

extension ReadState {
  /// The members `unread` and `receipts`, as answers and `ready` frames show them.
  func write(to json: inout JSONWriter) {
    json.key("unread")
    json.object {
      for chat in unread {
        $0.key(chat.chat)
        $0.integer(chat.count)
      }
    }
    json.key("receipts")
    json.array {
      for receipt in receipts {
        $0.object {
          $0.member("chatId", receipt.chat)
          $0.member("userId", receipt.user)
          $0.member("messageId", receipt.messageID)
          $0.member("readAt", receipt.readMilliseconds)
          $0.member("version", receipt.version)
        }
      }
    }
  }
}
