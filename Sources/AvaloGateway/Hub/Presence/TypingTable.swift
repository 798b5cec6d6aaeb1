import AvaloSystem

/// Who is typing where, in chats that nobody of this loop is subscribed to as well: as many as the presence worker keeps.
/// Owned by its hub, confined to its loop; it ends what nobody renews, whatever becomes of that worker.
struct TypingTable {
  struct Key: Hashable {
    var chat: String
    var user: String
  }

  struct Entry {
    /// The device that types, which is not told; empty when it is not known.
    var device: String
    /// Of the presence worker's last word.
    var sequence: UInt64
    /// When it ends by itself.
    var ends: MonotonicInstant
  }

  private var entries: [Key: Entry] = [:]

  var isEmpty: Bool { entries.isEmpty }

  mutating func set(_ key: Key, _ entry: Entry) { entries[key] = entry }
  mutating func remove(_ key: Key) -> Entry? { entries.removeValue(forKey: key) }

  mutating func takeEnded(at now: MonotonicInstant) -> [(key: Key, entry: Entry)] {
    let ended = entries.filter { $0.value.ends <= now }
    for key in ended.keys { entries[key] = nil }
    return ended.map { ($0.key, $0.value) }
  }
}
