/// Updates on their way to whoever reads them. Each reader gets all of them, in order and at its own pace; one is
/// processed when every reader has asked for what follows it. Without a reader they wait for the first one.
///
/// A pure value. How long it may grow is its owner's to decide.
struct UpdateQueue {
  typealias ReaderID = Int

  private var items: [Inbox.Item] = []
  /// Of `items`, so many are gone already.
  private var gone = 0
  /// The number of the first item that is there; items are numbered from the beginning of time.
  private var first = 0
  private var readers: [ReaderID: Reader] = [:]
  private var lastReader = 0

  private struct Reader {
    /// The item to look at next.
    var next: Int
    /// All before it are processed.
    var done: Int
  }

  /// Items that are not processed.
  var count: Int { items.count - gone }
  var hasReaders: Bool { !readers.isEmpty }

  mutating func append(_ item: Inbox.Item) { items.append(item) }

  /// Begins with what waits.
  mutating func addReader() -> ReaderID {
    lastReader += 1
    readers[lastReader] = Reader(next: first, done: first)
    return lastReader
  }

  /// What it had taken last counts as not processed.
  mutating func removeReader(_ id: ReaderID) { readers[id] = nil }

  /// The next update that `matches`; what the reader had before is processed now. `nil` when there is none yet.
  mutating func next(for id: ReaderID, where matches: (RealtimeUpdate) -> Bool) -> RealtimeUpdate? {
    guard var reader = readers[id] else { return nil }
    defer { readers[id] = reader }
    reader.done = reader.next
    while reader.next < first + count {
      let update = items[gone + reader.next - first].update
      reader.next += 1
      if let update, matches(update) { return update }
      reader.done = reader.next
    }
    return nil
  }

  /// What the reader took last is processed, whether it asks for more or not.
  mutating func finish(_ id: ReaderID) {
    guard let reader = readers[id] else { return }
    readers[id]?.done = reader.next
  }

  /// Takes away what all readers have processed, and answers how far that is.
  mutating func processed() -> [Inbox.Item.Reached] {
    guard let done = readers.values.map(\.done).min(), done > first else { return [] }
    let end = gone + done - first
    let reached = items[gone..<end].compactMap(\.reached)
    first = done
    gone = end
    if gone > 1_024, gone > items.count / 2 {
      items.removeFirst(gone)
      gone = 0
    }
    return reached
  }

  /// Takes everything away that no reader has processed: it is another user's.
  mutating func clear() {
    first += count
    items = []
    gone = 0
    for id in readers.keys { readers[id] = Reader(next: first, done: first) }
  }
}
