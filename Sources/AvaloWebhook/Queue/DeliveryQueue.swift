import AvaloCore

/// Events between the log and the endpoint. Each topic's go one after the other, in order: the next one waits until the
/// one before it is taken or given up. Topics do not wait for each other. Pure; monotonic milliseconds.
struct DeliveryQueue {
  struct Item: Equatable {
    var event: WebhookEvent
    /// Failed posts that count.
    var attempts = 0
    /// When it was posted last; `nil` before the first time.
    var tried: Int64?
    /// When it was posted first.
    var began: Int64?
    /// What its last post came to.
    var failure: String?
    /// Why it was given up: it goes to the dead letters.
    var givenUp: String?
    /// It is not tried before; monotonic milliseconds.
    var due: Int64?
    /// Nobody's any more, and under way: it goes when that has ended.
    var isErased = false

    /// It is posted.
    mutating func post(at now: Int64) {
      began = began ?? now
      tried = now
    }

    /// Its post came to nothing, and that is said of this event: it is given up after so many. Or it is said of the
    /// endpoint, which may be away for long: then it is given up when it has been tried for so long, so that an event
    /// which alone makes the endpoint fail ends some time.
    /// - `patience`: milliseconds since the first post.
    mutating func fail(_ reason: String, counts: Bool, attempts most: Int, patience: Int64, at now: Int64) {
      failure = reason
      if counts { attempts += 1 }
      let isTooOld = now - (began ?? now) >= patience
      if counts ? attempts >= most : isTooOld { givenUp = reason }
    }

    /// Its time was over: what was tried in vain until then is told, the rest is nobody's any more.
    mutating func expire() { givenUp = failure.map { "expired after \($0)" } }
  }

  private var items: [UInt64: Item] = [:]
  /// In the order of the log; what is done goes when everything before it has gone.
  private var order: [UInt64] = []
  private var lanes: [Topic: Lane] = [:]
  /// Events of a topic; what is said of it is said of the first, and the others wait for that one.
  private struct Lane {
    enum State {
      /// In ``ready``.
      case ready
      /// In ``waiting``.
      case waiting
      /// Between ``next(at:)`` and ``finish(_:)`` or ``wait(_:until:)``.
      case underWay
    }
    var state = State.ready
    var events: [UInt64]
  }
  /// Topics whose first may go now.
  private var ready: [Topic] = []
  /// Topics whose first waits until then, the soonest first.
  private var waiting: [(due: Int64, topic: Topic)] = []
  /// Of what is read anew: what became of it. Goes when reading has passed it.
  private var known: [UInt64: Known] = [:]
  private enum Known {
    case done
    case undone(Item)
  }
  private(set) var inFlight = 0
  private(set) var bytes = 0
  /// Up to where the log was read.
  private(set) var read: UInt64

  init(after sequence: UInt64) { read = sequence }

  var count: Int { items.count }
  var hasRoom: Bool { order.count < WebhookLimits.eventsMax && bytes < WebhookLimits.eventBytesMax }
  /// Everything up to and including it is done.
  var acknowledged: UInt64 { order.first.map { $0 - 1 } ?? read }
  /// The oldest that is not done.
  var oldest: WebhookEvent? { order.first.flatMap { items[$0]?.event } }

  subscript(sequence: UInt64) -> Item? { items[sequence] }

  /// Takes a page: its events, and up to where that brings us.
  mutating func add(_ events: [WebhookEvent], through sequence: UInt64) {
    for event in events where event.sequence > read {
      order.append(event.sequence)
      switch known[event.sequence] {
      case .done: continue
      case .undone(var item):
        item.event = event
        take(item)
      case nil: take(Item(event: event))
      }
    }
    read = max(read, sequence)
    if !known.isEmpty { known = known.filter { $0.key > read } }
    settle()
  }

  private mutating func take(_ item: Item) {
    let topic = item.event.topic
    items[item.event.sequence] = item
    bytes += item.event.record.count
    guard lanes[topic] == nil else {
      lanes[topic]?.events.append(item.event.sequence)
      return
    }
    lanes[topic] = Lane(events: [item.event.sequence])
    if let due = item.due { wait(topic, until: due) } else { ready.append(topic) }
  }

  /// The log is asked once more for what is not done, and for nothing up to `sequence`: some may have gone meanwhile. What
  /// is done stays done, what was tried keeps its tries and its time; nothing is under way any more.
  mutating func readAgain(after sequence: UInt64) {
    var again = DeliveryQueue(after: max(acknowledged, sequence))
    again.known = known
    for sequence in order { again.known[sequence] = items[sequence].map { .undone($0) } ?? .done }
    self = again
  }

  /// The next one that may go, which is under way from now on: ``finish(_:)`` or ``wait(_:until:)`` ends that.
  mutating func next(at now: Int64) -> Item? {
    while let first = waiting.first, first.due <= now {
      waiting.removeFirst()
      lanes[first.topic]?.state = .ready
      ready.append(first.topic)
    }
    guard let topic = ready.first, let sequence = lanes[topic]?.events.first else { return nil }
    ready.removeFirst()
    lanes[topic]?.state = .underWay
    inFlight += 1
    return items[sequence]
  }

  /// Its post begins.
  mutating func post(_ sequence: UInt64, at now: Int64) { items[sequence]?.post(at: now) }

  /// It is done, whatever became of it.
  mutating func finish(_ sequence: UInt64) {
    guard let item = items.removeValue(forKey: sequence) else { return }
    inFlight -= 1
    bytes -= item.event.record.count
    lanes[item.event.topic]?.events.removeFirst()
    goOn(item.event.topic)
    settle()
  }

  /// The first of a topic has gone: the next one may, if there is one.
  private mutating func goOn(_ topic: Topic) {
    if lanes[topic]?.events.isEmpty == true {
      lanes[topic] = nil
    } else {
      lanes[topic]?.state = .ready
      ready.append(topic)
    }
  }

  private mutating func settle() {
    let done = order.prefix { items[$0] == nil }.count
    order.removeFirst(done)
  }

  /// What waits in a topic up to there goes, and what is under way when that has ended. Returns how many went.
  mutating func forget(_ topic: Topic, upTo offset: UInt64) -> Int {
    guard let lane = lanes[topic] else { return 0 }
    var gone = lane.events.filter { items[$0].map { $0.event.offset <= offset } ?? false }
    if lane.state == .underWay, let first = lane.events.first, gone.first == first {
      items[first]?.isErased = true
      gone.removeFirst()
    }
    for sequence in gone {
      bytes -= items.removeValue(forKey: sequence)?.event.record.count ?? 0
    }
    lanes[topic]?.events.removeAll { items[$0] == nil }
    if lane.state != .underWay, lane.events.first == gone.first {
      ready.removeAll { $0 == topic }
      waiting.removeAll { $0.topic == topic }
      goOn(topic)
    }
    settle()
    return gone.count
  }

  /// It is tried again, then; with it waits its topic.
  mutating func wait(_ item: Item, until due: Int64) {
    guard let known = items[item.event.sequence] else { return }
    items[item.event.sequence] = item
    items[item.event.sequence]?.isErased = known.isErased
    items[item.event.sequence]?.due = due
    inFlight -= 1
    wait(item.event.topic, until: due)
  }

  private mutating func wait(_ topic: Topic, until due: Int64) {
    lanes[topic]?.state = .waiting
    let place = waiting.firstIndex { $0.due > due } ?? waiting.endIndex
    waiting.insert((due, topic), at: place)
  }
}
