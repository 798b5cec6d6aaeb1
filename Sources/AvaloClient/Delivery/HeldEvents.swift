/// Events that no reader wants at the moment, until one comes that does. Every reader there is has passed them over; they
/// hold back nothing but the position of their own topic. A pure value; times are in milliseconds.
struct HeldEvents {
  struct Entry {
    /// Its place among all updates.
    let number: Int
    let event: RealtimeEvent
    let reached: Inbox.Item.Reached?
    /// What was processed behind it in its topic, to be said when it is processed itself.
    var behind: Inbox.Item.Reached?
    /// When it passes though nobody read it; `nil` when it waits on.
    var due: Int64?
    /// Set when it was read, or is not waited for any more: the youngest reader of that moment.
    var over: UpdateQueue.ReaderID?

    /// Only what has a place moves its topic.
    var isPlaced: Bool { event.offset != nil }
  }

  /// In order.
  private(set) var entries: [Entry] = []
  /// When the first of them passes.
  private(set) var due: Int64?
  /// Types that the application reads, by their wire names.
  private var expected: Set<String> = []
  private var expectsAll = false
  private var hasOver = false

  /// The application reads events of this type, or of all types: they wait for as long as it takes.
  mutating func expect(_ type: String?) {
    if let type {
      guard expected.insert(type).inserted else { return }
    } else {
      guard !expectsAll else { return }
      expectsAll = true
    }
    for at in entries.indices where waitsOn(entries[at].event) { entries[at].due = nil }
    findDue()
  }

  mutating func add(
    _ number: Int, _ event: RealtimeEvent, _ reached: Inbox.Item.Reached?, now: Int64, youngest: UpdateQueue.ReaderID
  ) {
    if event.offset == nil, event.version != nil {
      // Of states only the latest counts.
      entries.removeAll { $0.event.isState(ofTheSameAs: event) }
    }
    let due = waitsOn(event) ? nil : now + ClientLimits.heldFor
    entries.append(Entry(number: number, event: event, reached: reached, due: due))
    makeRoom(isPlaced: event.offset != nil, youngest)
    findDue()
  }

  /// It was read.
  mutating func read(_ number: Int, youngest: UpdateQueue.ReaderID) {
    guard let at = entries.firstIndex(where: { $0.number == number }) else { return }
    end(at, youngest)
  }

  /// Nobody has wanted these in time.
  mutating func expire(_ now: Int64, youngest: UpdateQueue.ReaderID) {
    for at in entries.indices { if let due = entries[at].due, due <= now { end(at, youngest) } }
    findDue()
  }

  /// Whether something before it in its topic waits still; it is said behind that, then.
  mutating func holds(_ reached: Inbox.Item.Reached) -> Bool {
    guard let at = entries.lastIndex(where: { $0.isPlaced && $0.event.topic == reached.topic }) else { return false }
    entries[at].behind = entries[at].behind.followed(by: reached)
    return true
  }

  /// Takes away what is over and what no reader works on: those are at `done`. Answers what is processed by that.
  mutating func release(before done: Int) -> [Inbox.Item.Reached] {
    guard hasOver else { return [] }
    hasOver = false
    var reached: [Inbox.Item.Reached] = []
    var kept: [Entry] = []
    var last: [String: Int] = [:]
    for entry in entries {
      guard entry.over != nil, entry.number < done else {
        if entry.isPlaced { last[entry.event.topic] = kept.count }
        if entry.over != nil { hasOver = true }
        kept.append(entry)
        continue
      }
      for one in [entry.reached, entry.behind].compactMap(\.self) {
        if let at = last[one.topic] {
          kept[at].behind = kept[at].behind.followed(by: one)
        } else {
          reached.append(one)
        }
      }
    }
    entries = kept
    findDue()
    return reached
  }

  mutating func clear() {
    entries = []
    due = nil
    hasOver = false
  }

  private func waitsOn(_ event: RealtimeEvent) -> Bool {
    (expectsAll || expected.contains(event.type)) && HeldEvents.lasts(event)
  }

  /// Typing is over before anybody asks.
  private static func lasts(_ event: RealtimeEvent) -> Bool { event.offset != nil || event.version != nil }

  /// States make no room among events, nor events among states.
  private mutating func makeRoom(isPlaced: Bool, _ youngest: UpdateQueue.ReaderID) {
    let alike = entries.indices.filter { entries[$0].isPlaced == isPlaced && entries[$0].over == nil }
    guard alike.count > ClientLimits.heldMax else { return }
    end(alike[0], youngest)
  }

  private mutating func end(_ at: Int, _ youngest: UpdateQueue.ReaderID) {
    entries[at].over = entries[at].over ?? youngest
    entries[at].due = nil
    hasOver = true
  }

  private mutating func findDue() { due = entries.lazy.compactMap(\.due).min() }
}

extension RealtimeEvent {
  fileprivate func isState(ofTheSameAs other: RealtimeEvent) -> Bool {
    offset == nil && version != nil && topic == other.topic && type == other.type && sourceUserID == other.sourceUserID
  }
}

extension Inbox.Item.Reached? {
  /// The farther of the two; the server is told when it would have been told of either.
  fileprivate func followed(by next: Inbox.Item.Reached) -> Inbox.Item.Reached {
    var next = next
    if let self, self.position.epoch == next.position.epoch {
      next.isAcknowledged = next.isAcknowledged || self.isAcknowledged
    }
    return next
  }
}
