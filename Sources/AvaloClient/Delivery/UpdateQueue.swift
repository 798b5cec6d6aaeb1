/// Updates on their way to whoever reads them. Each reader gets those it wants, in order and at its own pace; one is
/// processed when every reader that wants it has asked for what follows it. Without a reader all wait for the first one;
/// an event that none of the readers wants waits beside the others, see ``HeldEvents``.
///
/// A pure value; times are in milliseconds. How long it may grow is its owner's to decide.
struct UpdateQueue {
  typealias ReaderID = Int

  private struct Entry {
    let item: Inbox.Item
    /// Set when a reader has processed it: the youngest reader of that moment. Younger ones do not see it any more.
    var read: ReaderID?
  }

  private var items: [Entry] = []
  /// Of `items`, so many are gone already.
  private var gone = 0
  /// The number of the first item that is there; items are numbered from the beginning of time.
  private var first = 0
  private var readers: [ReaderID: Reader] = [:]
  private var lastReader = 0
  /// All before `first`.
  private var held = HeldEvents()
  /// How far topics have passed all readers, whether what nobody wanted is processed or waits.
  private(set) var passed: [String: Position] = [:]

  private struct Reader {
    /// The item to look at next.
    var next: Int
    /// All before it are processed, or were not wanted.
    var done: Int
    /// What it has taken and may be working on.
    var taken: Int?
  }

  /// Items that some reader has not looked at, or works on.
  var count: Int { items.count - gone }
  var hasReaders: Bool { !readers.isEmpty }
  /// When to call ``expire(_:)``.
  var due: Int64? { held.due }

  func hasReader(_ id: ReaderID) -> Bool { readers[id] != nil }

  mutating func append(_ item: Inbox.Item) { items.append(Entry(item: item)) }

  /// The application reads events of this type, or of all types, now or later.
  mutating func expect(_ type: String?) { held.expect(type) }

  /// Begins with what waits.
  mutating func addReader() -> ReaderID {
    lastReader += 1
    let start = held.entries.first?.number ?? first
    readers[lastReader] = Reader(next: start, done: start)
    return lastReader
  }

  /// What it had taken last counts as not processed.
  mutating func removeReader(_ id: ReaderID) { readers[id] = nil }

  /// The next update that `matches`; what the reader had before is processed now. `nil` when there is none yet.
  mutating func next(for id: ReaderID, where matches: (RealtimeUpdate) -> Bool) -> RealtimeUpdate? {
    finish(id)
    guard var reader = readers[id] else { return nil }
    defer { readers[id] = reader }
    if reader.next < first {
      for entry in held.entries where entry.number >= reader.next {
        reader.next = entry.number + 1
        if isNews(to: id, entry.over), matches(.event(entry.event)) {
          reader.taken = entry.number
          return .event(entry.event)
        }
        reader.done = reader.next
      }
      reader.next = first
      reader.done = first
    }
    while reader.next < first + count {
      let entry = items[gone + reader.next - first]
      reader.next += 1
      if let update = entry.item.update, isNews(to: id, entry.read), matches(update) {
        reader.taken = reader.next - 1
        return update
      }
      reader.done = reader.next
    }
    return nil
  }

  /// What the reader took last is processed, whether it asks for more or not.
  mutating func finish(_ id: ReaderID) {
    guard let reader = readers[id] else { return }
    readers[id]?.done = reader.next
    readers[id]?.taken = nil
    guard let number = reader.taken else { return }
    if number < first { return held.read(number, youngest: lastReader) }
    let at = gone + number - first
    items[at].read = items[at].read ?? lastReader
  }

  /// What was read before a reader came is nothing for it.
  private func isNews(to id: ReaderID, _ read: ReaderID?) -> Bool { read.map { id <= $0 } ?? true }

  /// Takes away what all readers have passed, and answers how far topics are processed by that.
  mutating func processed(_ now: Int64) -> [Inbox.Item.Reached] {
    guard let done = readers.values.map(\.done).min() else { return [] }
    var reached: [Inbox.Item.Reached] = []
    while first < done {
      let entry = items[gone]
      let position = entry.item.reached
      if let position { passed[position.topic] = position.position }
      if entry.read == nil, case .event(let event)? = entry.item.update {
        held.add(first, event, position, now: now, youngest: lastReader)
      } else if let position, !held.holds(position) {
        reached.append(position)
      }
      gone += 1
      first += 1
    }
    if gone > 1_024, gone > items.count / 2 {
      items.removeFirst(gone)
      gone = 0
    }
    return reached + held.release(before: done)
  }

  /// What nobody has ever asked for passes, when it has waited long enough.
  mutating func expire(_ now: Int64) { held.expire(now, youngest: lastReader) }

  /// Takes everything away that no reader has processed: it is another user's.
  mutating func clear() {
    first += count
    items = []
    gone = 0
    passed = [:]
    held.clear()
    for id in readers.keys { readers[id] = Reader(next: first, done: first) }
  }
}
