import AvaloSystem
import Synchronization

/// When each connection of an instance that drains is to be back elsewhere: one after the other, so that they never come
/// faster than a rate. All loops of the instance take from it.
///
/// A connection is sent away in the second before it is due; when the drain's time is up the rest are, and wait for their
/// turn disconnected.
final class DrainSchedule: Sendable {
  private let clock: MonotonicClock
  private let start: MonotonicInstant
  private let end: MonotonicInstant
  private let perSecond: Double
  private let taken = Atomic<Int>(0)

  /// - `perSecond`: how many may come back.
  /// - `end`: when everybody is to be gone.
  init(perSecond: Double, until end: MonotonicInstant, clock: MonotonicClock) {
    precondition(perSecond > 0)
    self.clock = clock
    self.perSecond = perSecond
    self.end = end
    start = clock.now
  }

  var isOver: Bool { clock.now >= end }

  /// Takes as many of `wanted` turns as are due within the next second: all of them when time is up.
  func take(_ wanted: Int) -> Range<Int> {
    let horizon = clock.now - start + .seconds(1)
    let due = isOver ? Int.max : Int((horizon.inSeconds * perSecond).rounded(.down))
    while true {
      let first = taken.load(ordering: .relaxed)
      let count = max(0, min(wanted, due - first))
      if taken.compareExchange(expected: first, desired: first + count, ordering: .relaxed).exchanged {
        return first..<(first + count)
      }
    }
  }

  /// What the one who has `turn` is told to wait, in milliseconds.
  func retryAfter(_ turn: Int) -> UInt32 {
    let due = Duration.nanoseconds(Int64(Double(turn) / perSecond * 1e9))
    let left = max(.zero, due - (clock.now - start))
    return UInt32(clamping: (left + HubLimits.goawayDelayMin).milliseconds)
  }
}
