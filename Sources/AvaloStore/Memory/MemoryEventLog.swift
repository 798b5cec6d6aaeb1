import AvaloCore

/// A log that lives as long as its process: development, benchmarks, and the measure for the engines that keep.
///
/// Owned and called by the engine thread. What it does in a transaction it can undo, so that a caller's error paths
/// are the same as over a disk.
public final class MemoryEventLog: EventLog {
  public let durability = Durability.memory
  let state: MemoryLogState
  /// Takes back what the running transaction did, the last first.
  var undo: [() -> Void] = []
  private var inTransaction = false
  private var generator: any RandomNumberGenerator
  private var expiryHand = 1
  private var keyHand = 0

  public init(nowMilliseconds: Int64, generator: any RandomNumberGenerator = SystemRandomNumberGenerator()) {
    var generator = generator
    state = MemoryLogState(identity: .first(nowMilliseconds: nowMilliseconds, using: &generator))
    self.generator = generator
  }

  public var identity: LogIdentity { state.identity }

  /// Gone with the process, and so is everything a wrong clock could delete.
  public var clockMark: ClockMark? { nil }
  public func note(_ mark: ClockMark) throws(LogError) {}

  // MARK: Transactions

  public func begin() throws(LogError) {
    precondition(!inTransaction, "a transaction within a transaction")
    inTransaction = true
    state.lock()
  }

  public func commit() throws(LogError) {
    precondition(inTransaction, "commit without begin")
    undo.removeAll(keepingCapacity: true)
    end()
  }

  public func rollback() {
    guard inTransaction else { return }
    for step in undo.reversed() { step() }
    undo.removeAll(keepingCapacity: true)
    end()
  }

  private func end() {
    inTransaction = false
    state.unlock()
  }

  public func reopen() throws(LogError) { rollback() }
  public func close() throws(LogError) { rollback() }

  public func mint(nowMilliseconds: Int64) throws(LogError) {
    state.lock()
    defer { state.unlock() }
    state.identity = state.identity.next(nowMilliseconds: nowMilliseconds, using: &generator)
    for id in state.devices.keys {
      for (topic, cursor) in state.devices[id]!.cursors {
        let head = topic > 0 ? state.topics[Int(topic)].head : 0
        state.devices[id]!.cursors[topic]!.offset = min(cursor.offset, head)
      }
    }
  }

  // MARK: Topics and events

  public func topic(named name: String) throws(LogError) -> StoredTopic? {
    state.topic(named: name)
  }

  public func createTopic(named name: String) throws(LogError) -> TopicID {
    let id = TopicID(state.topics.count)
    state.topics.append(.init(name: name))
    state.names[name] = id
    undo.append { [state] in
      state.topics.removeLast()
      state.names[name] = nil
    }
    return id
  }

  public func append(
    topic: TopicID, offset: UInt64, expires: Int64, record: [UInt8], key: StoredKey?, message: ChatMessage?
  ) throws(LogError) {
    add(.init(offset: offset, expires: expires, record: record), to: topic)
    note(message, in: topic, offset: offset, expires: expires)
    if let key { try put(key, topic: topic) }
  }

  func add(_ event: MemoryLogState.Event, to topic: TopicID) {
    let index = Int(topic)
    precondition(event.offset == state.topics[index].head + 1, "offset \(event.offset) is not the next one")
    let before = state.topics[index].expiresFirst
    state.topics[index].events.append(event)
    state.topics[index].head = event.offset
    state.topics[index].expiresFirst = min(before, event.expires)
    state.bytes += event.record.count
    state.appended = (topic, event.offset)
    undo.append { [state] in
      state.topics[index].events.removeLast()
      state.topics[index].head -= 1
      state.topics[index].expiresFirst = before
      state.bytes -= event.record.count
    }
  }

  public func tail(of topic: TopicID, nowMilliseconds: Int64) throws(LogError) -> UInt64 {
    let log = state.topics[Int(topic)]
    return log.events.first { $0.expires > nowMilliseconds }.map { $0.offset - 1 } ?? log.head
  }

  public func bytes(of topic: TopicID) throws(LogError) -> Int {
    state.topics[Int(topic)].events.reduce(0) { $0 + $1.record.count }
  }

  public func evict(topic: TopicID, upTo offset: UInt64, freeing bytes: Int) throws(LogError) -> (
    floor: UInt64, removed: Removed
  ) {
    let before = state.topics[Int(topic)]
    let last = before.head == 0 ? 0 : before.head - 1
    let offset = min(offset, last)
    var floor = before.floor
    var removed = Removed()
    for event in before.events {
      guard event.offset <= last, event.offset <= offset || removed.bytes < bytes else { break }
      guard removed.rows < StoreLimits.chunkRows else { break }
      removed.count(event)
      floor = event.offset
    }
    if removed.rows < StoreLimits.chunkRows { floor = max(floor, offset) }
    state.topics[Int(topic)].events.removeFirst(removed.rows)
    state.topics[Int(topic)].floor = floor
    state.bytes -= removed.bytes
    undo.append { [state, bytes = removed.bytes] in
      state.topics[Int(topic)] = before
      state.bytes += bytes
    }
    return (floor, removed)
  }

  public func expire(before: Int64) throws(LogError) -> Removed {
    var removed = Removed()
    for _ in 1..<max(2, state.topics.count) where removed.rows < StoreLimits.chunkRows {
      if expiryHand >= state.topics.count { expiryHand = 1 }
      guard expiryHand < state.topics.count else { break }
      expire(topic: expiryHand, before: before, into: &removed)
      if removed.rows < StoreLimits.chunkRows { expiryHand += 1 }
    }
    return removed
  }

  private func expire(topic index: Int, before: Int64, into removed: inout Removed) {
    guard state.topics[index].expiresFirst < before else { return }
    let was = state.topics[index]
    var kept: [MemoryLogState.Event] = []
    var first = Int64.max
    var bytes = 0
    for event in was.events {
      if event.expires < before, removed.rows < StoreLimits.chunkRows {
        removed.count(event)
        bytes += event.record.count
      } else {
        kept.append(event)
        first = min(first, event.expires)
      }
    }
    state.topics[index].events = kept
    state.topics[index].expiresFirst = first
    state.bytes -= bytes
    undo.append { [state] in
      state.topics[index] = was
      state.bytes += bytes
    }
  }

  // MARK: Idempotency keys

  public func key(topic: TopicID, hash: UInt64) throws(LogError) -> StoredKey? { state.topics[Int(topic)].keys[hash] }

  public func put(_ key: StoredKey, topic: TopicID) throws(LogError) {
    let before = state.topics[Int(topic)].keys.updateValue(key, forKey: key.hash)
    undo.append { [state] in state.topics[Int(topic)].keys[key.hash] = before }
  }

  // MARK: Devices

  public func device(user: String, device: String) throws(LogError) -> StoredDevice? {
    state.devicesOf[user]?.lazy.compactMap { self.state.devices[$0]?.row }.first { $0.device == device }
  }

  public func devices(of user: String) throws(LogError) -> [StoredDevice] {
    (state.devicesOf[user] ?? []).compactMap { state.devices[$0]?.row }
      .sorted { ($0.seen, $0.id) < ($1.seen, $1.id) }
  }

  public func register(
    user: String, device: String, platform: Platform, seen: Int64, isPassing: Bool
  ) throws(LogError) -> DeviceID {
    state.lastDevice += 1
    let id = state.lastDevice
    state.devices[id] = .init(
      user: user,
      row: StoredDevice(id: id, device: device, platform: platform, seen: seen, isPassing: isPassing))
    state.devicesOf[user, default: []].append(id)
    undo.append { [state] in
      state.devices[id] = nil
      state.devicesOf[user]?.removeAll { $0 == id }
    }
    return id
  }

  public func touch(device: DeviceID, platform: Platform?, seen: Int64) throws(LogError) {
    guard let before = state.devices[device] else { return }
    if let platform { state.devices[device]!.row.platform = platform }
    state.devices[device]!.row.seen = seen
    undo.append { [state] in state.devices[device]?.row = before.row }
  }

  public func note(polled: String, device: DeviceID) throws(LogError) {
    guard let before = state.devices[device]?.row.polled else { return }
    state.devices[device]!.row.polled = polled
    undo.append { [state] in state.devices[device]?.row.polled = before }
  }

  public func forget(device: DeviceID) throws(LogError) {
    guard let before = state.devices.removeValue(forKey: device) else { return }
    let siblings = state.devicesOf[before.user] ?? []
    let others = siblings.filter { $0 != device }
    state.devicesOf[before.user] = others.isEmpty ? nil : others
    undo.append { [state] in
      state.devices[device] = before
      state.devicesOf[before.user] = siblings
    }
  }

  public func devices(after: DeviceID) throws(LogError) -> [StoredDevice] {
    Array(
      state.devices.values.map(\.row).filter { $0.id > after }.sorted { $0.id < $1.id }.prefix(StoreLimits.chunkRows))
  }

  public func cursors(of device: DeviceID) throws(LogError) -> [StoredCursor] {
    Array((state.devices[device]?.cursors ?? [:]).values)
  }

  public func put(_ cursor: StoredCursor, device: DeviceID) throws(LogError) {
    guard state.devices[device] != nil else { return }
    let before = state.devices[device]!.cursors[cursor.topic]
    var cursor = cursor
    cursor.began = before?.began ?? cursor.began
    state.devices[device]!.cursors[cursor.topic] = cursor
    undo.append { [state] in state.devices[device]?.cursors[cursor.topic] = before }
  }

  public func forget(cursor topic: TopicID, device: DeviceID) throws(LogError) {
    guard let before = state.devices[device]?.cursors.removeValue(forKey: topic) else { return }
    undo.append { [state] in state.devices[device]?.cursors[topic] = before }
  }

  // MARK: Delayed events

  public func hold(_ event: DelayedEvent) throws(LogError) {
    var event = event
    event.id = event.due << 21
    while let same = state.delayed.last(where: { $0.id >> 21 == event.due && $0.id >= event.id }) {
      event.id = same.id + 1
    }
    let id = event.id
    state.delayed.insert(event, at: state.delayed.firstIndex { $0.id > id } ?? state.delayed.endIndex)
    undo.append { [state] in state.delayed.removeAll { $0.id == id } }
  }

  public func due(nowMilliseconds: Int64, limit: Int) throws(LogError) -> [DelayedEvent] {
    Array(state.delayed.prefix { $0.due <= nowMilliseconds }.prefix(limit))
  }

  public func nextDue() throws(LogError) -> Int64? { state.delayed.first?.due }

  public func release(delayed id: Int64) throws(LogError) {
    guard let index = state.delayed.firstIndex(where: { $0.id == id }) else { return }
    let event = state.delayed.remove(at: index)
    undo.append { [state] in state.delayed.insert(event, at: index) }
  }

  public func delayedCount() throws(LogError) -> Int { state.delayed.count }

  public func delayed(topic: String, hash: UInt64) throws(LogError) -> Int64? {
    state.delayed.first { $0.hash == hash && $0.topic == topic }?.id
  }

  // MARK: Housekeeping

  public func maintain(rows: Int, before: Int64) throws(LogError) -> Bool {
    state.lock()
    defer { state.unlock() }
    var seen = 0
    // Of broadcasts that are under way, and of those that ended before everybody was reached.
    for (id, shared) in state.broadcasts.shared where shared.expires < before { state.broadcasts.shared[id] = nil }
    for _ in state.topics where seen < rows {
      if keyHand >= state.topics.count { keyHand = 0 }
      seen += state.topics[keyHand].keys.count
      if state.topics[keyHand].keys.contains(where: { $0.value.until < before }) {
        state.topics[keyHand].keys = state.topics[keyHand].keys.filter { $0.value.until >= before }
      }
      let floor = state.topics[keyHand].floor
      for (chat, messages) in state.topics[keyHand].messages {
        seen += messages.count
        state.topics[keyHand].messages[chat] = messages.filter { $0.expires >= before && $0.offset > floor }
      }
      keyHand += 1
    }
    return false
  }

  public func statistics() throws(LogError) -> LogStatistics {
    LogStatistics(topics: state.names.count, bytes: state.bytes)
  }

  public func reader() throws(LogError) -> any EventLogReader { MemoryEventLogReader(state: state) }
}

extension Removed {
  mutating func count(_ event: MemoryLogState.Event) {
    byType[Int(event.record.first ?? 0)] += 1
    rows += 1
    bytes += event.record.count
  }
}
