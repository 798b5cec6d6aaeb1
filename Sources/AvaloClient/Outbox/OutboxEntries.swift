/// Entries in their order, by whoever keeps them: in memory, or in memory and a file. A pure value.
struct OutboxEntries {
  private(set) var all: [OutboxEntry] = []
  private var last: Int64 = 0

  /// The entry as it is kept, and the one whose place it takes; `nil` when there is no room.
  mutating func add(_ entry: OutboxEntry, max: Int) -> (kept: OutboxEntry, replaced: OutboxEntry?)? {
    let replaced = entry.key.flatMap { key in all.first { $0.user == entry.user && $0.key == key } }
    let count = all.count { $0.user == entry.user } - (replaced == nil ? 0 : 1)
    guard count < max else { return nil }
    var kept = entry
    kept.sequence = last + 1
    if let replaced { remove(replaced.sequence) }
    restore(kept)
    return (kept, replaced)
  }

  /// One that was kept before; sequences ascend.
  mutating func restore(_ entry: OutboxEntry) {
    last = max(last, entry.sequence)
    all.append(entry)
  }

  mutating func remove(_ sequence: Int64) { all.removeAll { $0.sequence == sequence } }

  func first(of user: String) -> OutboxEntry? { all.first { $0.user == user } }
  func all(of user: String) -> [OutboxEntry] { all.filter { $0.user == user } }
}
