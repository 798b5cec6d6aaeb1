/// Where a read of the log begins: subscriptions that stand at the same place share one.
struct ReadKey: Hashable {
  var topic: UInt32
  var after: UInt64
}

/// Reads that are under way or wait for their turn, and who waits for each.
struct ReadTable {
  private var readers: [ReadKey: [UInt32]] = [:]
  private var queue: [ReadKey] = []
  private var queueHead = 0
  private(set) var underWay = 0

  /// Adds a reader; answers whether the read is new and must be queued or sent.
  mutating func add(_ subscription: UInt32, to key: ReadKey) -> Bool {
    readers[key, default: []].append(subscription)
    return readers[key]!.count == 1
  }

  /// A subscription that was reading is gone.
  mutating func remove(_ subscription: UInt32, from key: ReadKey) {
    readers[key]?.removeAll { $0 == subscription }
  }

  mutating func enqueue(_ key: ReadKey) { queue.append(key) }

  /// The next read that may be sent now; counts it as under way. Reads that nobody waits for any more are dropped.
  mutating func next() -> ReadKey? {
    while underWay < HubLimits.readsMax, queueHead < queue.count {
      let key = queue[queueHead]
      queueHead += 1
      if queueHead == queue.count {
        queue.removeAll(keepingCapacity: true)
        queueHead = 0
      }
      guard let waiting = readers[key] else { continue }
      if waiting.isEmpty {
        readers[key] = nil
        continue
      }
      underWay += 1
      return key
    }
    return nil
  }

  /// A read was answered: who waited for it.
  mutating func finish(_ key: ReadKey) -> [UInt32] {
    underWay -= 1
    return readers.removeValue(forKey: key) ?? []
  }

  mutating func removeAll() { self = ReadTable() }
}
