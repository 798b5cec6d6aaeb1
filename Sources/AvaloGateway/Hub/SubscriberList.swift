import Glibc

/// Subscriptions of one topic, as indices into the hub's slab: 16 bytes.
///
/// Most topics are inboxes with one subscriber: that one is held inline, and memory is taken only from the second on.
/// Order is not kept. Owned by its topic, confined to its loop.
struct SubscriberList: ~Copyable {
  private(set) var count: UInt32 = 0
  /// Of the memory; 0 while there is none.
  private var capacity: UInt32 = 0
  /// The address of the memory, or the one subscription.
  private var word: UInt = 0

  deinit { free(many) }

  var isEmpty: Bool { count == 0 }

  subscript(index: Int) -> UInt32 {
    precondition(index >= 0 && index < Int(count), "subscriber \(index) of \(count)")
    return many.map { $0[index] } ?? UInt32(truncatingIfNeeded: word)
  }

  /// Adds a subscription; answers its place, which ``remove(at:)`` needs.
  mutating func append(_ subscription: UInt32) -> UInt32 {
    if count == 0, capacity == 0 {
      word = UInt(subscription)
    } else {
      if count >= capacity { grow() }
      many![Int(count)] = subscription
    }
    count += 1
    return count - 1
  }

  /// Takes out the subscription at `place`; answers which one moved into its place, if any.
  mutating func remove(at place: UInt32) -> UInt32? {
    precondition(place < count, "place \(place) of \(count)")
    count -= 1
    guard let many else { return nil }
    let moved: UInt32? = place == count ? nil : many[Int(count)]
    if let moved { many[Int(place)] = moved }
    if count == 0 {
      free(many)
      word = 0
      capacity = 0
    }
    return moved
  }

  private var many: UnsafeMutablePointer<UInt32>? {
    capacity == 0 ? nil : UnsafeMutablePointer(bitPattern: word)
  }

  private mutating func grow() {
    let bigger = max(4, capacity * 2)
    guard let memory = realloc(many, Int(bigger) * MemoryLayout<UInt32>.stride) else {
      preconditionFailure("out of memory for \(bigger) subscribers")
    }
    let grown = memory.bindMemory(to: UInt32.self, capacity: Int(bigger))
    if capacity == 0 { grown[0] = UInt32(truncatingIfNeeded: word) }
    word = UInt(bitPattern: memory)
    capacity = bigger
  }
}
