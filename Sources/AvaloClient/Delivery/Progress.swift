import AvaloCore

/// How far a client has come in each of its topics, over all its connections: what it presents to resume, and what it
/// holds against the server's promise that every offset comes once, in order, or is said to be missing.
///
/// A pure value: frames in, findings out. It tells nobody and closes nothing.
public struct Progress: Sendable, Equatable {
  /// What a delivery is, given what came before it.
  public enum Finding: Sendable, Equatable {
    /// Next in order, or urgent and ahead: process it.
    case new
    /// Seen before: leave it.
    case duplicate
    /// These offsets were passed over without a word: the server broke its promise.
    case hole(ClosedRange<UInt64>)
  }

  /// The last position processed of each topic.
  public private(set) var positions: [String: Position]
  /// Urgent events that were seen ahead of their turn, to leave them when another connection brings them in theirs.
  private var ahead: [String: Set<UInt64>] = [:]

  /// Goes on from these.
  public init(positions: [String: Position] = [:]) { self.positions = positions }

  /// Notes an event, and answers what it is.
  public mutating func take(_ delivery: Delivery) -> Finding {
    var position = positions[delivery.topic] ?? .none
    if let epoch = delivery.epoch, epoch != position.epoch {
      if position.epoch != .none {
        ahead[delivery.topic] = nil
        position.offset = 0
      }
      position.epoch = epoch
      // Of a topic never seen the first offset may be any.
      if positions[delivery.topic] == nil || position.offset == 0 { position.offset = max(delivery.offset, 1) - 1 }
    }
    if delivery.isAhead {
      guard delivery.offset > position.offset else { return .duplicate }
      return ahead[delivery.topic, default: []].insert(delivery.offset).inserted ? .new : .duplicate
    }
    if let told = delivery.skipped?.offsets, told.lowerBound <= position.offset + 1 {
      position.offset = max(position.offset, told.upperBound)
    }
    guard delivery.offset > position.offset else { return .duplicate }
    // What came ahead is not written a second time on its connection, but may be on the next one.
    let passed = passAhead(delivery.topic, from: position.offset, through: delivery.offset - 1)
    let cameAhead = ahead[delivery.topic]?.remove(delivery.offset) != nil
    positions[delivery.topic] = Position(epoch: position.epoch, offset: delivery.offset)
    if passed + 1 != delivery.offset { return .hole((passed + 1)...(delivery.offset - 1)) }
    return cameAhead ? .duplicate : .new
  }

  /// The highest offset, no more than `last`, up to which all is known, given that it is up to `offset`.
  private mutating func passAhead(_ topic: String, from offset: UInt64, through last: UInt64) -> UInt64 {
    var passed = offset
    while passed < last, ahead[topic]?.remove(passed + 1) != nil { passed += 1 }
    return passed
  }

  /// Notes offsets that will not come.
  public mutating func take(_ gap: ServerFrame.Gap) {
    if let epoch = gap.epoch, epoch != positions[gap.topic]?.epoch {
      // The log began anew: what was processed says nothing about it.
      positions[gap.topic] = nil
      ahead[gap.topic] = nil
    }
    guard let told = gap.offsets, let position = positions[gap.topic] else { return }
    if told.lowerBound <= position.offset + 1, told.upperBound > position.offset {
      positions[gap.topic] = Position(epoch: position.epoch, offset: told.upperBound)
    }
  }

  /// The topic was given up.
  public mutating func forget(_ topic: String) {
    positions[topic] = nil
    ahead[topic] = nil
  }

  /// A replay has ended at `head`. Answers what was passed over without a word.
  public mutating func takeLive(topic: String, head: Position) -> ClosedRange<UInt64>? {
    let known = positions[topic]
    positions[topic] = head
    guard let known, known.epoch == head.epoch else { return nil }
    guard known.offset < head.offset else {
      positions[topic] = known
      return nil
    }
    let passed = passAhead(topic, from: known.offset, through: head.offset)
    return passed < head.offset ? (passed + 1)...head.offset : nil
  }
}
