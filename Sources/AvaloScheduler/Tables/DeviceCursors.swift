import AvaloStore

/// What is kept of a device's cursors: those of topics with a row under its number, those of others under a number made of
/// their names. Pure.
struct DeviceCursors {
  /// Where the cursor of a topic may lie.
  struct Names {
    /// The topic's own number; 0 as long as it has none.
    var topic: TopicID
    var awaited: TopicID
  }

  private(set) var rows: [StoredCursor] = []
  /// Most devices have none of these.
  private var hasAwaited = false

  init() {}
  init(_ rows: [StoredCursor]) {
    self.rows = rows
    hasAwaited = rows.contains { $0.topic < 0 }
  }

  var count: Int { rows.count }

  func cursor(of names: @autoclosure () -> Names) -> UInt64? { row(of: names())?.offset }

  /// A cursor may lie under both; then what was written under the number came later.
  func row(of names: Names) -> StoredCursor? {
    let numbered = names.topic == 0 ? nil : rows.first { $0.topic == names.topic }
    return numbered ?? (hasAwaited ? rows.first { $0.topic == names.awaited } : nil)
  }

  /// Puts a cursor in, or forward.
  mutating func raise(_ cursor: StoredCursor) {
    if let index = rows.firstIndex(where: { $0.topic == cursor.topic }) {
      rows[index].offset = max(rows[index].offset, cursor.offset)
      rows[index].used = max(rows[index].used, cursor.used)
    } else {
      rows.append(cursor)
      hasAwaited = hasAwaited || cursor.topic < 0
    }
  }

  mutating func remove(_ topic: TopicID) { rows.removeAll { $0.topic == topic } }

  /// By when they were used.
  var newestFirst: [TopicID] { rows.sorted { ($0.used, $0.topic) > ($1.used, $1.topic) }.map(\.topic) }
}
