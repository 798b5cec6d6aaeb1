import AvaloCore

/// The calls of one connection that wait for their answers. A pure value; who waits is the owner's to wake.
struct PendingCalls<Waiter> {
  private var waiters: [Int: Waiter] = [:]
  private var next = 1

  var isEmpty: Bool { waiters.isEmpty }

  /// The number the call goes out with; `nil` when too many wait.
  mutating func add(_ waiter: Waiter) -> Int? {
    guard waiters.count < ClientLimits.callsMax else { return nil }
    defer { next += 1 }
    waiters[next] = waiter
    return next
  }

  /// Who waits for the answer with this id, who then waits no more.
  mutating func take(_ id: JSONText) -> Waiter? {
    guard let number = id.read({ $0.integer }).flatMap({ Int(exactly: $0) }) else { return nil }
    return waiters.removeValue(forKey: number)
  }

  mutating func take(number: Int) -> Waiter? { waiters.removeValue(forKey: number) }

  /// Everyone, when the connection has ended.
  mutating func takeAll() -> [Waiter] {
    defer { waiters = [:] }
    return Array(waiters.values)
  }

  /// Everyone of whom it is so.
  mutating func take(where matches: (Waiter) -> Bool) -> [Waiter] {
    let found = waiters.filter { matches($0.value) }
    for number in found.keys { waiters[number] = nil }
    return Array(found.values)
  }

  /// The least of something that each has.
  func least<Value: Comparable>(_ value: (Waiter) -> Value) -> Value? { waiters.values.map(value).min() }
}
