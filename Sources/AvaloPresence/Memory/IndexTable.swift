/// Finds a slab's rows by a key that lies in them: open addressing over 32-bit indices, at most three quarters full. The
/// table holds no keys; who asks compares them. Hashes are the caller's, of a seed that outsiders do not know.
struct IndexTable {
  private static let empty = UInt32.max
  private var slots: ContiguousArray<UInt32>
  private(set) var count = 0

  init() { slots = ContiguousArray(repeating: IndexTable.empty, count: 16) }

  /// The first index of that hash for which `isIt`.
  func find(_ hash: Int, where isIt: (UInt32) -> Bool) -> UInt32? {
    var place = hash & (slots.count - 1)
    while slots[place] != IndexTable.empty {
      if isIt(slots[place]) { return slots[place] }
      place = (place + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Adds an index that is not there yet. `hash` answers the hash of any index within.
  mutating func insert(_ index: UInt32, hash: (UInt32) -> Int) {
    if (count + 1) * 4 > slots.count * 3 { grow(hash) }
    place(index, hash(index))
    count += 1
  }

  mutating func remove(_ index: UInt32, hash: (UInt32) -> Int) {
    let mask = slots.count - 1
    var hole = hash(index) & mask
    while slots[hole] != index {
      precondition(slots[hole] != IndexTable.empty, "index \(index) is not in the table")
      hole = (hole + 1) & mask
    }
    // What was pushed past the hole moves up, so that no search stops short.
    var place = (hole + 1) & mask
    while slots[place] != IndexTable.empty {
      let home = hash(slots[place]) & mask
      if (place &- home) & mask >= (place &- hole) & mask {
        slots[hole] = slots[place]
        hole = place
      }
      place = (place + 1) & mask
    }
    slots[hole] = IndexTable.empty
    count -= 1
  }

  private mutating func grow(_ hash: (UInt32) -> Int) {
    let old = slots
    slots = ContiguousArray(repeating: IndexTable.empty, count: old.count * 2)
    for index in old where index != IndexTable.empty { place(index, hash(index)) }
  }

  private mutating func place(_ index: UInt32, _ hash: Int) {
    var place = hash & (slots.count - 1)
    while slots[place] != IndexTable.empty { place = (place + 1) & (slots.count - 1) }
    slots[place] = index
  }
}
