import AvaloReactor

/// One session's interest in one topic. A plain value in the hub's slab, found by index.
struct Subscription {
  /// Where a subscription stands. There is one state for "behind" (delivery.md, rule 1): recovering, parked, link lost and
  /// overflowed are all it; `reading` and `parked` only say what it is waiting for.
  enum State: UInt8 {
    /// The slab's free list.
    case free
    /// Its device's cursor or its topic's head is not known yet.
    case joining
    /// Written up to `cursor`; the rest comes from the log.
    case behind
    /// Written up to its topic's position; gets each event as it arrives.
    case live
  }

  static let none = UInt32.max

  var state = State.free
  /// Behind: a read that ends here is under way.
  var reading = false
  /// Behind: waits for its connection to drain before it reads on.
  var parked = false
  /// Joining: `cursor` holds what the client or the registry said.
  var hasCursor = false
  /// Joining: the client itself named the position, so that it is told when its epoch is gone.
  var isPresented = false
  /// Its session's connection, here so that a fan-out touches no session.
  var connection = ConnectionID(slot: .max, generation: 0)
  /// The index of its topic; also the next free one in the slab's free list.
  var topic: UInt32 = Subscription.none
  /// Its place in the topic's list of this state.
  var place: UInt32 = 0
  /// The session's next subscription.
  var next: UInt32 = Subscription.none
  /// Joining: the epoch that `cursor` belongs to.
  var epoch: UInt64 = 0
  /// Behind: everything up to here was written. Live: see the topic's position.
  var cursor: UInt64 = 0
  /// Joining: the device's own cursor, used when the client presented a foreign epoch.
  var deviceCursor: UInt64 = 0
}

/// All subscriptions of one loop, in one block of memory.
struct SubscriptionSlab {
  private var slots = ContiguousArray<Subscription>()
  private var firstFree = Subscription.none

  subscript(index: UInt32) -> Subscription {
    _read { yield slots[Int(index)] }
    _modify { yield &slots[Int(index)] }
  }

  mutating func insert(_ subscription: Subscription) -> UInt32 {
    precondition(subscription.state != .free)
    if firstFree != Subscription.none {
      let index = firstFree
      firstFree = slots[Int(index)].topic
      slots[Int(index)] = subscription
      return index
    }
    slots.append(subscription)
    return UInt32(slots.count - 1)
  }

  mutating func remove(_ index: UInt32) {
    precondition(slots[Int(index)].state != .free, "subscription \(index) freed twice")
    slots[Int(index)] = Subscription(topic: firstFree)
    firstFree = index
  }
}
