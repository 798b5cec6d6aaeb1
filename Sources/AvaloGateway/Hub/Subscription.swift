import AvaloCore
import AvaloReactor

/// One session's interest in one topic: 32 bytes in the hub's slab, found by index. What it needs only until it has begun
/// is in ``Joining``.
struct Subscription: BitwiseCopyable {
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

  /// What is known while it joins.
  struct Joining {
    /// What the client itself named, so that it is told when that epoch is gone.
    var presented: Position?
    /// Where its device stopped; `nil` until the registry has said so.
    var stored: Position?
    /// The first offset of its user's membership, when that is what lets them in; else 0.
    var since: UInt64 = 0
  }

  static let none = UInt32.max

  var state = State.free
  /// Behind: a read that ends here is under way.
  var reading = false
  /// Behind: waits for its connection to drain before it reads on.
  var parked = false
  /// Stands only as long as its user is a member: the scheduler decides, and says when that ends.
  var isByMembership = false
  /// Its session's connection, here so that a fan-out touches no session.
  var connection = ConnectionID(slot: .max, generation: 0)
  /// The index of its topic; also the next free one in the slab's free list.
  var topic: UInt32 = Subscription.none
  /// Its place in the topic's list.
  var place: UInt32 = 0
  /// The session's next subscription.
  var next: UInt32 = Subscription.none
  /// Behind: everything up to here was written. Live: see the topic's position.
  var cursor: UInt64 = 0
}

/// All subscriptions of one loop, in blocks that are never moved.
struct SubscriptionSlab: ~Copyable {
  private static let blockBits: UInt32 = 9
  private static let blockCount: UInt32 = 1 << blockBits

  private var blocks: ContiguousArray<UnsafeMutablePointer<Subscription>> = []
  private var used: UInt32 = 0
  private var firstFree = Subscription.none

  deinit {
    for block in blocks { block.deallocate() }
  }

  subscript(index: UInt32) -> Subscription {
    _read { yield place(index).pointee }
    nonmutating _modify { yield &place(index).pointee }
  }

  mutating func insert(_ subscription: Subscription) -> UInt32 {
    precondition(subscription.state != .free)
    let index: UInt32
    if firstFree != Subscription.none {
      index = firstFree
      firstFree = place(index).pointee.topic
    } else {
      index = used
      used += 1
      if Int(index >> SubscriptionSlab.blockBits) == blocks.count {
        blocks.append(.allocate(capacity: Int(SubscriptionSlab.blockCount)))
      }
    }
    place(index).initialize(to: subscription)
    return index
  }

  mutating func remove(_ index: UInt32) {
    precondition(place(index).pointee.state != .free, "subscription \(index) freed twice")
    place(index).pointee = Subscription(topic: firstFree)
    firstFree = index
  }

  private func place(_ index: UInt32) -> UnsafeMutablePointer<Subscription> {
    precondition(index < used, "subscription \(index) of \(used)")
    return blocks[Int(index >> SubscriptionSlab.blockBits)] + Int(index & (SubscriptionSlab.blockCount - 1))
  }
}
