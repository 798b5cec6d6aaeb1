import AvaloCore
import AvaloReactor

/// Who of this loop watches whom: the topics of kind `presence`, which are of no log. Owned by its hub, confined to its loop.
/// Pure bookkeeping: what is sent, the hub sends.
struct PresenceBook {
  /// By index; the handle's low 24 bits.
  private var topics: ContiguousArray<PresenceTopic?> = []
  private var freeTopics: [UInt32] = []
  private var topicOfUser: [String: UInt32] = [:]
  private var subscriptions: ContiguousArray<PresenceSubscription> = []
  private var firstFree = PresenceSubscription.none
  /// The first subscription and the number of them, by the slot of a session that has any.
  private var sessions: [UInt32: (first: UInt32, count: Int)] = [:]

  subscript(index: UInt32) -> PresenceSubscription {
    _read { yield subscriptions[Int(index)] }
    _modify { yield &subscriptions[Int(index)] }
  }

  /// Subscriptions of all sessions.
  private(set) var count = 0
  /// Indices of topics that withhold chats (``PresenceTopic/withheld``), or did.
  var withholding: Set<UInt32> = []

  // MARK: - Finding

  func topic(at index: UInt32) -> PresenceTopic? { index < topics.count ? topics[Int(index)] : nil }

  func topic(ofUser user: String) -> PresenceTopic? { topicOfUser[user].flatMap { topic(at: $0) } }

  func topic(of subscription: UInt32) -> PresenceTopic {
    guard let topic = topic(at: self[subscription].topic) else {
      preconditionFailure("presence subscription \(subscription) without its topic")
    }
    return topic
  }

  /// Topics that somebody watches.
  var watched: some Sequence<PresenceTopic> { topics.lazy.compactMap { $0 }.filter { !$0.isLeaving } }

  func count(of connection: ConnectionID) -> Int { sessions[connection.slot]?.count ?? 0 }

  /// The session's subscriptions, the newest first.
  func subscriptions(of connection: ConnectionID) -> [UInt32] {
    var all: [UInt32] = []
    var index = sessions[connection.slot]?.first ?? PresenceSubscription.none
    while index != PresenceSubscription.none {
      all.append(index)
      index = self[index].next
    }
    return all
  }

  /// Whether one of the session's subscriptions is such, and how many were looked at for that.
  func find(
    of connection: ConnectionID, where isWanted: (PresenceSubscription) -> Bool
  ) -> (isThere: Bool, looks: Int) {
    var looks = 0
    var index = sessions[connection.slot]?.first ?? PresenceSubscription.none
    while index != PresenceSubscription.none {
      looks += 1
      if isWanted(self[index]) { return (true, looks) }
      index = self[index].next
    }
    return (false, looks)
  }

  func users(of connection: ConnectionID) -> [String] {
    subscriptions(of: connection).reversed().map { topic(of: $0).user }
  }

  // MARK: - Changing

  /// Adds a subscription; answers it, and whether its topic is new and must be watched. The session has none to the user.
  mutating func join(
    _ connection: ConnectionID, to user: String, loop: UInt8
  ) -> (subscription: UInt32, isNew: Bool) {
    let known = topicOfUser[user]
    let place = known ?? make(user, loop: loop)
    guard let topic = topic(at: place) else { preconditionFailure("presence topic \(place) without its state") }
    var subscription = PresenceSubscription(connection: connection, topic: topic.index)
    let session = sessions[connection.slot] ?? (first: PresenceSubscription.none, count: 0)
    subscription.next = session.first
    let index = insert(subscription)
    self[index].place = topic.subscribers.append(index)
    sessions[connection.slot] = (first: index, count: session.count + 1)
    count += 1
    return (index, known == nil)
  }

  /// Ends a session's subscriptions to these users, in one walk through what it has; answers the topics that nobody is left
  /// to watch for.
  mutating func leave(_ connection: ConnectionID, from users: some Sequence<String>) -> [PresenceTopic] {
    let wanted = Set(users.compactMap { topicOfUser[$0] })
    guard !wanted.isEmpty, var session = sessions[connection.slot] else { return [] }
    var left: [PresenceTopic] = []
    var before = PresenceSubscription.none
    var index = session.first
    while index != PresenceSubscription.none {
      let next = self[index].next
      if !wanted.contains(self[index].topic) {
        before = index
      } else {
        if before == PresenceSubscription.none { session.first = next } else { self[before].next = next }
        session.count -= 1
        if let topic = remove(index) { left.append(topic) }
      }
      index = next
    }
    sessions[connection.slot] = session.count == 0 ? nil : session
    return left
  }

  /// Ends all subscriptions of a session; answers the topics that nobody is left to watch for.
  mutating func leaveAll(_ connection: ConnectionID) -> [PresenceTopic] {
    let all = subscriptions(of: connection)
    sessions[connection.slot] = nil
    return all.compactMap { remove($0) }
  }

  /// A topic's handle is free.
  mutating func forget(_ topic: PresenceTopic) {
    topics[Int(topic.index)] = nil
    freeTopics.append(topic.index)
  }

  /// Topics that were given up on a link that is gone: their handles are free.
  mutating func forgetLeaving() {
    for case let topic? in topics where topic.isLeaving { forget(topic) }
  }

  private mutating func make(_ user: String, loop: UInt8) -> UInt32 {
    let index = freeTopics.popLast() ?? UInt32(topics.count)
    if Int(index) == topics.count { topics.append(nil) }
    precondition(index <= PresenceTopic.indexMax, "handles of a loop have 24 bits")
    topics[Int(index)] = PresenceTopic(user: user, handle: UInt32(loop) << 24 | index)
    topicOfUser[user] = index
    return index
  }

  private mutating func insert(_ subscription: PresenceSubscription) -> UInt32 {
    guard firstFree != PresenceSubscription.none else {
      subscriptions.append(subscription)
      return UInt32(subscriptions.count - 1)
    }
    let index = firstFree
    firstFree = self[index].topic
    self[index] = subscription
    return index
  }

  private mutating func remove(_ index: UInt32) -> PresenceTopic? {
    let topic = topic(of: index)
    if let moved = topic.subscribers.remove(at: self[index].place) { self[moved].place = self[index].place }
    self[index] = PresenceSubscription(topic: firstFree)
    firstFree = index
    count -= 1
    guard topic.subscribers.isEmpty else { return nil }
    topicOfUser[topic.user] = nil
    topic.isLeaving = true
    return topic
  }
}
