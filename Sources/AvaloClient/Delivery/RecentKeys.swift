/// The newest of something, by key, and no more than so many: the oldest are forgotten.
struct RecentKeys<Value> {
  private var entries: [String: (value: Value, turn: UInt64)] = [:]
  /// Keys in the order in which they were set; one that was set again is there more than once, and only the last counts.
  private var order: [(key: String, turn: UInt64)] = []
  private var head = 0
  private var turn: UInt64 = 0
  private let max: Int

  init(max: Int) { self.max = max }

  var count: Int { entries.count }

  subscript(key: String) -> Value? { entries[key]?.value }

  mutating func set(_ key: String, _ value: Value) {
    turn += 1
    entries[key] = (value, turn)
    order.append((key, turn))
    while entries.count > max { forgetOldest() }
    // What was passed by is thrown away, now and then.
    if order.count > 2 * max + 16 { compact() }
  }

  /// Remembers the key; false when it was known.
  mutating func insert(_ key: String, _ value: Value) -> Bool {
    let isNew = entries[key] == nil
    set(key, value)
    return isNew
  }

  /// Forgets what matches.
  mutating func remove(where matches: (String) -> Bool) {
    entries = entries.filter { !matches($0.key) }
    compact()
  }

  private mutating func forgetOldest() {
    while head < order.count {
      let (key, turn) = order[head]
      head += 1
      guard entries[key]?.turn == turn else { continue }
      entries[key] = nil
      return
    }
  }

  private mutating func compact() {
    order = order[head...].filter { entries[$0.key]?.turn == $0.turn }
    head = 0
  }
}
