import AvaloCore

/// What comes in: frames of any transport become updates for the application, each event once, and positions to
/// acknowledge when the application has processed them.
///
/// A pure value: frames in, items out.
struct Inbox {
  /// Something to tell, or only a position to reach, in its turn.
  struct Item: Equatable {
    var update: RealtimeUpdate?
    /// How far the topic is processed when this is.
    var reached: Reached?

    struct Reached: Equatable {
      var topic: String
      var position: Position
      /// Whether the server is told.
      var isAcknowledged = true
    }
  }

  let userID: String
  /// How far came what was received, over all connections.
  private(set) var progress: Progress
  /// Events that were handed on, by topic, offset and id: a log that was restored brings them again under another epoch.
  /// The id alone says nothing, since every publisher chooses their own.
  private var seen = RecentKeys<Void>(max: ClientLimits.seenMax)
  /// Versions of keyed state that were handed on.
  private var versions = RecentKeys<Int64>(max: ClientLimits.versionsMax)
  /// How users are, by topic, as this connection told it last.
  private var presence = RecentKeys<RealtimeEvent>(max: ClientLimits.versionsMax)
  /// Topics whose replay is not over.
  private var replaying: Set<String> = []
  /// Those of them that are resumed, with the number of events that came so far.
  private var resuming: [String: Int] = [:]

  init(userID: String, positions: [String: Position] = [:]) {
    self.userID = userID
    progress = Progress(positions: positions)
  }

  /// A new connection begins with these topics, and the positions presented of some.
  mutating func began(_ topics: some Sequence<String>, presenting positions: [String: Position]) {
    replaying = Set(topics)
    resuming = positions.mapValues { _ in 0 }
    // Presence is told anew on each connection, and may have forgotten its count.
    versions.remove { $0.hasPrefix("presence:") }
    presence = RecentKeys(max: ClientLimits.versionsMax)
  }

  /// How the user of that topic is, for one more who watches; `nil` when that is still to be told.
  func snapshot(of topic: String) -> Item? {
    guard var event = presence[topic] else { return nil }
    event.isSnapshot = true
    return Item(update: .event(event))
  }

  /// Topics are added to the connection.
  mutating func joining(_ topics: some Sequence<String>, presenting positions: [String: Position]) {
    replaying.formUnion(topics)
    resuming.merge(positions.mapValues { _ in 0 }) { $1 }
  }

  /// The topic was given up: it begins anew when it is subscribed to again.
  mutating func forget(_ topic: String) {
    progress.forget(topic)
    replaying.remove(topic)
    resuming[topic] = nil
  }

  /// Takes a frame of delivery; `nil` when it is another one.
  mutating func take(_ frame: ServerFrame) -> [Item]? {
    switch frame {
    case .event(let delivery): return take(delivery)
    case .fact(let fact): return take(fact).map { [Item(update: .event($0))] } ?? []
    case .gap(let gap):
      progress.take(gap)
      return [tell(gap, reached(gap.topic))]
    case .live(let topic, let head): return live(topic, head)
    case .unsubscribed(let topic, let error):
      forget(topic)
      return [Item(update: .unsubscribed(topic: topic, error))]
    default: return nil
    }
  }

  /// Receipts that a connection or subscription brings, handed on like those that come live.
  mutating func take(_ receipts: [ServerFrame.Receipt]) -> [Item] {
    receipts.compactMap { receipt in
      let event = ReceivedEvent(
        eventID: "receipt_\(receipt.chatID)_\(receipt.userID)_\(receipt.version)",
        type: EventType.readReceipt.wireName, sourceUserID: receipt.userID, payload: receipt.payload,
        timestampMilliseconds: receipt.readAtMilliseconds, priority: .normal)
      let fact = Fact(
        topic: "chat:" + receipt.chatID, version: receipt.version, event: event, isSnapshot: true,
        text: receipt.payload)
      return take(fact).map { Item(update: .event($0)) }
    }
  }

  // MARK: Steps

  private mutating func take(_ delivery: Delivery) -> [Item] {
    let topic = delivery.topic
    var items: [Item] = []
    let before = progress.positions[topic]
    let finding = progress.take(delivery)
    // Ahead of the event, as it lies before it; told already when the event is.
    if let skipped = delivery.skipped, finding != .duplicate { items.append(tell(skipped, nil)) }
    if case .hole(let offsets) = finding {
      resuming[topic] = nil
      items.append(Item(update: .hole(topic: topic, offsets)))
    }
    let moved = progress.positions[topic] != before && !delivery.isAhead
    let reached = moved ? reached(topic) : nil
    guard finding != .duplicate, seen.insert(Inbox.name(delivery), ()) else {
      if reached != nil { items.append(Item(reached: reached)) }
      return items
    }
    if !delivery.isAhead, let count = resuming[topic] { resuming[topic] = count + 1 }
    let event = RealtimeEvent(
      topic: topic, offset: delivery.offset, isReplay: replaying.contains(topic), isAhead: delivery.isAhead,
      content: delivery.event, frame: delivery.text)
    items.append(Item(update: .event(event), reached: reached))
    return items
  }

  private static func name(_ delivery: Delivery) -> String {
    "\(delivery.topic) \(delivery.offset) \(delivery.event.eventID)"
  }

  /// Of two states of one thing the higher version counts; what has no version always does.
  private mutating func take(_ fact: Fact) -> RealtimeEvent? {
    if let version = fact.version {
      let isReceipt = fact.event.type == EventType.readReceipt.wireName
      let key = isReceipt ? Inbox.receiptKey(fact.event.payload) : fact.topic
      if let known = versions[key] {
        if version < known || (version == known && (isReceipt || !fact.isSnapshot)) { return nil }
      }
      versions.set(key, version)
    }
    let event = RealtimeEvent(
      topic: fact.topic, version: fact.version, isSnapshot: fact.isSnapshot, content: fact.event,
      frame: fact.text)
    if fact.topic.hasPrefix("presence:") { presence.set(fact.topic, event) }
    return event
  }

  private static func receiptKey(_ payload: JSONText) -> String {
    payload.read { "read:\($0["chatId"]?.string ?? ""):\($0["userId"]?.string ?? "")" }
  }

  private mutating func live(_ topic: String, _ head: Position) -> [Item] {
    var items: [Item] = []
    if let hole = progress.takeLive(topic: topic, head: head) {
      resuming[topic] = nil
      items.append(Item(update: .hole(topic: topic, hole)))
    }
    replaying.remove(topic)
    if let count = resuming.removeValue(forKey: topic) {
      items.append(Item(update: .recovered(topic: topic, events: count)))
    }
    // The server knows where it began; to resume from there is ours.
    items.append(Item(update: .live(topic: topic, head), reached: reached(topic, isAcknowledged: false)))
    return items
  }

  private mutating func tell(_ gap: ServerFrame.Gap, _ reached: Item.Reached?) -> Item {
    resuming[gap.topic] = nil
    return Item(update: .gap(gap), reached: reached)
  }

  private func reached(_ topic: String, isAcknowledged: Bool = true) -> Item.Reached? {
    progress.positions[topic].map { Item.Reached(topic: topic, position: $0, isAcknowledged: isAcknowledged) }
  }
}
