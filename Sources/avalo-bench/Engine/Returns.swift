/// Clients that the server sends on (`goaway`): when each is to be back, as it was told, and how it went. Owned by the
/// engine while a scenario wants them to come back.
final class Returns {
  /// What a client says when it is back, by its index.
  let greeting: (Int) -> [UInt8]
  /// How many were sent on.
  private(set) var sentOn = 0
  /// Cut without having been told when to come back.
  private(set) var cut = Tally()
  /// When each began to connect again, in order.
  private(set) var begun: [Nanoseconds] = []
  /// From the end of a connection to the next one's being live, in µs.
  private(set) var away = LoadEngine.histogram()
  private var waiting: [(due: Nanoseconds, index: Int)] = []
  private var leftAt: [Int: Nanoseconds] = [:]

  init(greeting: @escaping (Int) -> [UInt8]) { self.greeting = greeting }

  /// Clients that are not back yet.
  var awaited: Int { leftAt.count }
  var nextDue: Nanoseconds? { waiting.last?.due }

  /// A connection has ended. `due`: 0 when the server did not say.
  func left(_ index: Int, due: Nanoseconds, now: Nanoseconds, reason: @autoclosure () -> String) {
    if due > 0 { sentOn += 1 } else { cut.add(reason()) }
    // Tried again soon, as by a client that knows no better: what is measured is how many those are.
    let due = due > 0 ? due : now + Clock.nanoseconds(Limits.returnSeconds)
    if leftAt[index] == nil { leftAt[index] = now }
    // The next one is the last of the row.
    let place = waiting.firstIndex { $0.due <= due } ?? waiting.endIndex
    waiting.insert((due, index), at: place)
  }

  func popDue(_ now: Nanoseconds) -> (due: Nanoseconds, index: Int)? {
    guard let next = waiting.last, next.due <= now else { return nil }
    waiting.removeLast()
    begun.append(now)
    return next
  }

  func isLive(_ index: Int, _ now: Nanoseconds) {
    guard let left = leftAt.removeValue(forKey: index) else { return }
    away.record((now - left) / 1_000)
  }

  /// The most that began to connect in any one second.
  var perSecondMax: Int {
    var most = 0
    var first = 0
    for last in begun.indices {
      while begun[last] - begun[first] >= 1_000_000_000 { first += 1 }
      most = max(most, last - first + 1)
    }
    return most
  }
}
