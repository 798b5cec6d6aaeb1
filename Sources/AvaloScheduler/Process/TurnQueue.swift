/// What waits, by whom it is for: each of them has one taken in turn, in the order in which it came. A value.
struct TurnQueue<Item> {
  private var waiting: [String: [Item]] = [:]
  /// Whose turns are to come; those before `next` had theirs.
  private var turns: [String] = []
  private var next = 0
  /// Of one at a time.
  let maxOfOne: Int
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  init(maxOfOne: Int) { self.maxOfOne = maxOfOne }

  /// False when too much waits for this one already.
  mutating func add(_ item: Item, of name: String) -> Bool {
    let before = waiting[name]?.count ?? 0
    guard before < maxOfOne else { return false }
    waiting[name, default: []].append(item)
    if before == 0 { turns.append(name) }
    count += 1
    return true
  }

  mutating func take() -> Item? {
    guard next < turns.count else { return nil }
    let name = turns[next]
    next += 1
    if next > turns.count / 2 {
      turns.removeFirst(next)
      next = 0
    }
    guard var items = waiting.removeValue(forKey: name), !items.isEmpty else { return nil }
    let item = items.removeFirst()
    count -= 1
    if !items.isEmpty {
      waiting[name] = items
      turns.append(name)
    }
    return item
  }
}
