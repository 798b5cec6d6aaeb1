import AvaloCore

/// How far the application has processed each topic, and what the server is still to be told of it: the newest of each
/// topic, together after a moment. A pure value; times are in milliseconds.
struct Acknowledgements {
  /// What is presented to resume.
  private(set) var positions: [String: Position]
  private var pending: [String: Position] = [:]
  /// When to send what is pending.
  private(set) var due: Int64?

  init(positions: [String: Position] = [:]) { self.positions = positions }

  mutating func add(_ reached: Inbox.Item.Reached, now: Int64) {
    positions[reached.topic] = reached.position
    guard reached.isAcknowledged else { return }
    pending[reached.topic] = reached.position
    due = due ?? now + ClientLimits.ackDelay
  }

  /// What to send, now.
  mutating func take() -> [String: Position] {
    defer {
      pending = [:]
      due = nil
    }
    return pending
  }

  func positions(of topics: some Sequence<String>) -> [String: Position] {
    topics.reduce(into: [:]) { found, topic in found[topic] = positions[topic] }
  }

  mutating func forget(_ topic: String) {
    positions[topic] = nil
    pending[topic] = nil
  }
}
