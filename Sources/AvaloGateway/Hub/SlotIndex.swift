/// Finds sessions by the hash of a key that several may have: 16 bytes a slot, and none in the session. Adding, and taking out
/// by the slot alone, cost the same however many share a key. Confined to its owner's loop.
struct SlotIndex {
  private struct Link {
    static let none = UInt32.max
    /// Of a slot that is not in the index.
    static let absent = UInt32.max - 1

    var hash: UInt32 = 0
    var next = Link.none
    /// The slot before it; none at the head of a chain.
    var previous = Link.absent
  }

  /// The first slot of each chain, by the hash's lowest bits.
  private var heads: ContiguousArray<UInt32> = []
  /// By slot.
  private var links: ContiguousArray<Link> = []
  private(set) var count = 0

  /// The slots that were added with this hash. Another key's may be among them.
  func slots(_ hash: UInt32) -> [UInt32] {
    guard !heads.isEmpty else { return [] }
    var slots: [UInt32] = []
    var slot = heads[head(hash)]
    while slot != Link.none {
      if links[Int(slot)].hash == hash { slots.append(slot) }
      slot = links[Int(slot)].next
    }
    return slots
  }

  /// - Precondition: the slot is not there.
  mutating func insert(_ slot: UInt32, hash: UInt32) {
    while links.count <= Int(slot) { links.append(Link()) }
    precondition(links[Int(slot)].previous == Link.absent, "slot \(slot) is there already")
    if count == heads.count { grow() }
    count += 1
    links[Int(slot)].hash = hash
    chain(slot)
  }

  /// Nothing happens for a slot that is not there.
  mutating func remove(_ slot: UInt32) {
    guard Int(slot) < links.count, links[Int(slot)].previous != Link.absent else { return }
    let link = links[Int(slot)]
    if link.previous == Link.none {
      heads[head(link.hash)] = link.next
    } else {
      links[Int(link.previous)].next = link.next
    }
    if link.next != Link.none { links[Int(link.next)].previous = link.previous }
    links[Int(slot)] = Link()
    count -= 1
  }

  private mutating func chain(_ slot: UInt32) {
    let head = head(links[Int(slot)].hash)
    let next = heads[head]
    links[Int(slot)].next = next
    links[Int(slot)].previous = Link.none
    if next != Link.none { links[Int(next)].previous = slot }
    heads[head] = slot
  }

  private mutating func grow() {
    heads = ContiguousArray(repeating: Link.none, count: max(16, heads.count * 2))
    for slot in links.indices where links[slot].previous != Link.absent { chain(UInt32(slot)) }
  }

  private func head(_ hash: UInt32) -> Int { Int(hash) & (heads.count - 1) }
}
