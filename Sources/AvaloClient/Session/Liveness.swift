/// Whether the other side is there. Anything that comes in is a sign of life; silence is asked about with a ping, and
/// silence after a ping ends the connection, whatever the socket says of itself.
///
/// A pure value: times, in milliseconds, come in, wishes go out.
struct Liveness {
  enum Wish: Equatable {
    case ping
    case dead
    /// Nothing before then.
    case sleep(until: Int64)
  }

  /// Round trip in milliseconds; `nil` before the first.
  private(set) var latency: Int64?
  /// When the ping that is unanswered went out.
  private var asked: Int64?
  /// By when something must have come in.
  private var deadline = Int64.max
  private var nextPing: Int64
  private var isExcused = false
  private let interval: Int64
  private let pings: Bool

  /// - `interval`: milliseconds.
  /// - `pings`: whether the transport can ask; one that cannot is only listened to.
  init(interval: Int64, pings: Bool, now: Int64) {
    self.interval = min(max(interval, ClientLimits.pingIntervals.lowerBound), ClientLimits.pingIntervals.upperBound)
    self.pings = pings
    // The first one at once, to know the latency.
    nextPing = pings ? now : .max
    heard(now)
  }

  /// Something came in.
  mutating func heard(_ now: Int64) {
    isExcused = false
    deadline = pings ? .max : now + interval + ClientLimits.pongGrace
  }

  mutating func pong(_ now: Int64) {
    if let asked { latency = max(0, now - asked) }
    asked = nil
  }

  /// There is a doubt: ask now, and wait less long.
  mutating func probe(_ now: Int64) {
    if pings { nextPing = now }
    deadline = min(deadline, now + ClientLimits.probeGrace)
  }

  /// What to do now. Call again when it is done, after the sleep, and after ``probe(_:)``.
  mutating func next(_ now: Int64) -> Wish {
    if now >= deadline {
      // Who comes late has slept or was busy: what came in meanwhile may still wait to be read.
      if now < deadline + ClientLimits.lateGrace || isExcused { return .dead }
      isExcused = true
      deadline = now + ClientLimits.lateGrace
      return .sleep(until: deadline)
    }
    if now >= nextPing {
      nextPing = now + interval
      asked = now
      deadline = min(deadline, now + ClientLimits.pongGrace)
      return .ping
    }
    return .sleep(until: min(nextPing, deadline))
  }
}
