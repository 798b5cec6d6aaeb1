import Foundation

/// Items on their way to one thread that waits for them. Any thread posts; one takes. Bounded: what is over the bound is
/// refused to the poster, who answers for it.
final class CommandQueue<Item: Sendable>: @unchecked Sendable {
  // Everything below is touched with the condition's lock held.
  private let condition = NSCondition()
  private var items: [Item] = []
  private var isClosed = false
  private let max: Int

  init(max: Int) { self.max = max }

  var count: Int { condition.withLock { items.count } }

  /// Adds an item; false when there are too many and this one may be refused.
  func post(_ item: Item, mayRefuse: Bool) -> Bool {
    condition.withLock {
      if mayRefuse, items.count >= max { return false }
      items.append(item)
      if items.count == 1 { condition.signal() }
      return true
    }
  }

  /// Nothing more will come that matters: who waits wakes up.
  func close() {
    condition.withLock {
      isClosed = true
      condition.broadcast()
    }
  }

  /// Takes up to `limit` items, waiting up to so many milliseconds for the first. `nil` when closed and empty.
  func take(limit: Int, waitMilliseconds: Int64) -> [Item]? {
    condition.withLock {
      if items.isEmpty, !isClosed, waitMilliseconds > 0 {
        let deadline = Date(timeIntervalSinceNow: Double(waitMilliseconds) / 1000)
        while items.isEmpty, !isClosed, condition.wait(until: deadline) {}
      }
      if items.isEmpty { return isClosed ? nil : [] }
      if items.count <= limit {
        defer { items.removeAll(keepingCapacity: true) }
        return items
      }
      let taken = Array(items.prefix(limit))
      items.removeFirst(limit)
      return taken
    }
  }
}

extension NSCondition {
  fileprivate func withLock<Value>(_ body: () -> Value) -> Value {
    lock()
    defer { unlock() }
    return body()
  }
}
