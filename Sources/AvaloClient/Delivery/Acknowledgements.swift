import AvaloCore

/// How far the application has processed each topic, and what the server is still to be told of it: the newest of each
/// topic, together after a moment. A pure value; times are in milliseconds.
struct Acknowledgements {
  /// What is presented to resume.
  private(set) var positions: [String: Position]
  /// Of those, what the server is to know. No acknowledgement is answered, and what was sent may be lost with its
  /// connection: it is said again on each, once its topic has begun.
  private var known: [String: Position]
  /// How far the server knows that: what a connection began with, or was said otherwise. Not what was sent over one that
  /// may still be lost.
  private var told: [String: Position]
  /// Topics that have begun on the connection: what is sent of others is lost.
  private var begun: Set<String> = []
  private var pending: [String: Position] = [:]
  private var isUnsaved = false
  /// When to send what is pending.
  private(set) var due: Int64?

  init(positions: [String: Position] = [:]) {
    self.positions = positions
    known = positions
    // Where they were kept they are presented, whatever the server knows.
    told = positions
  }

  mutating func add(_ reached: Inbox.Item.Reached, now: Int64) {
    positions[reached.topic] = reached.position
    isUnsaved = true
    guard reached.isAcknowledged else { return }
    known[reached.topic] = reached.position
    pending[reached.topic] = reached.position
    hurry(now)
  }

  /// The topic has begun on a connection, which may be another one.
  mutating func again(_ topic: String, now: Int64) {
    begun.insert(topic)
    guard let position = known[topic] else { return }
    pending[topic] = position
    hurry(now)
  }

  /// There is something to say.
  mutating func hurry(_ now: Int64) { due = due ?? now + ClientLimits.ackDelay }

  /// What to send, now; without a connection it stays to be sent.
  mutating func take(isConnected: Bool) -> [String: Position] {
    due = nil
    guard isConnected else { return [:] }
    defer { pending = [:] }
    return pending
  }

  /// What to keep over a restart, if that has changed.
  mutating func takeUnsaved() -> [String: Position]? {
    guard isUnsaved else { return nil }
    isUnsaved = false
    return positions
  }

  func positions(of topics: some Sequence<String>) -> [String: Position] {
    topics.reduce(into: [:]) { found, topic in found[topic] = positions[topic] }
  }

  /// What the server is to know, where it was told less.
  var untold: [String: Position] {
    known.filter { topic, position in
      guard let told = told[topic], told.epoch == position.epoch else { return true }
      return told.offset < position.offset
    }
  }

  /// The server knows of these, or is being told for the last time.
  mutating func tell(_ positions: [String: Position]) { told.merge(positions) { $1 } }

  /// Another connection is made, on which no topic has begun.
  mutating func began() { begun = [] }

  /// The connection ends behind all that was sent over it.
  mutating func endedInOrder() {
    for topic in begun { if let position = known[topic] { told[topic] = position } }
  }

  mutating func forget(_ topic: String) {
    positions[topic] = nil
    known[topic] = nil
    told[topic] = nil
    pending[topic] = nil
    begun.remove(topic)
  }
}
