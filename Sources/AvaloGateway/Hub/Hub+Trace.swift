import AvaloCore
import AvaloReactor

/// Whose subscriptions are asked for.
struct TraceQuery: Sendable {
  /// Everybody's to this topic, or of one user.
  var topic: Topic?
  var user: String?
}

/// Where one subscription of a live connection stands.
struct TracedConnection: Sendable, Equatable {
  enum State: String, Sendable { case joining, behind, parked, live }

  var connectionID: String
  var user: String
  var device: String
  var platform: Platform
  /// Milliseconds since 1970.
  var opened: Int64
  var topic: String
  var state: State
  /// Everything up to here was written to it; `nil` while that is not known yet.
  var through: UInt64?
  /// Of what was written, bytes that the kernel has not taken.
  var backlog: Int
}

// What became of events here: asked by people, noted only where something goes otherwise than it should.
extension Hub {
  func trace(_ query: TraceQuery) -> [TracedConnection] {
    var found: [TracedConnection] = []
    func add(_ index: UInt32) {
      guard found.count < HubLimits.tracedMax, let session = session(of: subscriptions[index].connection),
        query.user == nil || session.user == query.user, query.topic == nil || topic(of: index).topic == query.topic
      else { return }
      found.append(traced(index, session))
    }
    if let user = query.user {
      forEachSession(of: user) { forEachSubscription(of: $0, add) }
    } else if let name = query.topic, let topic = find(name) {
      for place in 0..<Int(topic.live.count) { add(topic.live[place]) }
      for place in 0..<Int(topic.waiting.count) { add(topic.waiting[place]) }
    }
    return found
  }

  private func traced(_ index: UInt32, _ session: Session) -> TracedConnection {
    let subscription = subscriptions[index]
    let state: TracedConnection.State =
      switch subscription.state {
      case .live: .live
      case .behind: subscription.parked ? .parked : .behind
      case .joining, .free: .joining
      }
    return TracedConnection(
      connectionID: session.connectionID, user: session.user, device: session.device, platform: session.platform,
      opened: session.openedMilliseconds, topic: topic(of: index).topic.name, state: state, through: through(index),
      backlog: writer.backlog(session.connection))
  }

  /// Everything up to here was written.
  private func through(_ index: UInt32) -> UInt64? {
    switch subscriptions[index].state {
    case .live: topic(of: index).position.offset
    case .behind: subscriptions[index].cursor
    case .joining, .free: nil
    }
  }

  // MARK: - Exceptions

  /// A connection that others knew of is over.
  func noteEnd(_ session: Session, clean: Bool) {
    guard let journal, session.isCounted else { return }
    let backlog = writer.backlog(session.connection)
    journal.note("closed", at: clock.milliseconds) { json in
      json.who(session)
      json.member("opened", session.openedMilliseconds)
      json.member("clean", clean)
      if backlog > 0 { json.member("unsent", backlog) }
      json.key("topics")
      json.object { topics in
        forEachSubscription(of: session) { index in
          guard let through = through(index) else { return }
          topics.key(topic(of: index).topic.name)
          topics.integer(through)
        }
      }
    }
  }

  /// We end it.
  func noteClosing(_ session: Session, _ code: CloseCode) {
    guard let journal, session.isCounted else { return }
    journal.note("closing", at: clock.milliseconds) {
      $0.who(session)
      $0.member("code", code.rawValue)
      $0.member("why", "\(code.reason)")
    }
  }

  /// It was not let in.
  func noteRefusal(_ session: Session, _ error: CallError) {
    guard let journal, session.identity != nil, session.stage != .ready else { return }
    journal.note("refused", at: clock.milliseconds) {
      $0.who(session)
      $0.member("status", error.code.wireName)
      $0.member("why", error.message)
    }
  }

  /// Topics that it asked for and does not get, or has no more.
  /// - `lost`: those that it had; not yet ended, so that it is known up to where they had been written.
  func noteDenials(_ session: Session, _ denied: [AccessRules.Grant.Denial], losing lost: Set<UInt32> = []) {
    guard let journal, !denied.isEmpty else { return }
    if session.stage == .ready, !mayNoteDenial() { return journal.drop() }
    var through: [(Topic, UInt64)] = []
    if !lost.isEmpty {
      forEachSubscription(of: session) { index in
        guard lost.contains(subscriptions[index].topic), let written = self.through(index) else { return }
        through.append((topic(of: index).topic, written))
      }
    }
    journal.note("denied", at: clock.milliseconds) { json in
      json.who(session)
      if !through.isEmpty {
        json.key("topics")
        json.object {
          for (topic, written) in through {
            $0.key(topic.name)
            $0.integer(written)
          }
        }
      }
      json.key("denied")
      json.object {
        for denial in denied {
          $0.key(denial.topic)
          $0.string(denial.code.wireName)
        }
      }
    }
  }

  private func mayNoteDenial() -> Bool {
    let second = writer.nowSeconds
    if notedDenials.second != second { notedDenials = (second, 0) }
    notedDenials.count += 1
    return notedDenials.count <= HubLimits.notedDenialsPerSecond
  }

  /// It reads too slowly: what comes waits for it in the log.
  func notePark(_ index: UInt32, _ connection: ConnectionID) {
    guard let journal, let session = session(of: connection) else { return }
    journal.note("parked", at: clock.milliseconds) {
      $0.who(session)
      $0.member("topic", topic(of: index).topic.name)
      $0.member("through", subscriptions[index].cursor)
      $0.member("backlog", writer.backlog(connection))
    }
  }
}

extension JSONWriter {
  fileprivate mutating func who(_ session: Session) {
    member("user", session.user)
    member("connection", session.connectionID)
    member("device", session.device)
    member("platform", session.platform.wireName ?? "unknown")
  }
}
