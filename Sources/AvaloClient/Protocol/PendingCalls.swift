import AvaloCore

/// The calls of one connection that wait for their answers. A pure value; who waits is the owner's to wake.
struct PendingCalls<Waiter> {
  private var waiters: [Int: Waiter] = [:]
  private var next = 1

  /// The number the call goes out with; `nil` when too many wait.
  mutating func add(_ waiter: Waiter) -> Int? {
    guard waiters.count < ClientLimits.callsMax else { return nil }
    defer { next += 1 }
    waiters[next] = waiter
    return next
  }

  /// Who waits for the answer with this id, who then waits no more.
  mutating func take(_ id: JSONText) -> Waiter? {
    guard let number = id.read({ $0.integer }) else { return nil }
    return waiters.removeValue(forKey: Int(number))
  }

  mutating func take(number: Int) -> Waiter? { waiters.removeValue(forKey: number) }

  /// Everyone, when the connection has ended.
  mutating func takeAll() -> [Waiter] {
    defer { waiters = [:] }
    return Array(waiters.values)
  }
}
