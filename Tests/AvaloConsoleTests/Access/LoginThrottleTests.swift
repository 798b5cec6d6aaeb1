import AvaloSystem
import Testing

@testable import AvaloConsole

@Suite struct LoginThrottleTests {
  private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

  @Test func letsABurstThroughThenOneAtATime() {
    var throttle = LoginThrottle(burst: 3, refill: .seconds(6), now: start)
    let first = (0..<4).map { _ in throttle.take(now: start) }
    #expect(first == [nil, nil, nil, .seconds(6)])
    let early = throttle.take(now: start + .seconds(5))
    #expect(early == .seconds(1))
    let due = throttle.take(now: start + .seconds(6))
    #expect(due == nil)
    let again = throttle.take(now: start + .seconds(6))
    #expect(again == .seconds(6))
  }

  @Test func fillsUpToItsBurstAndNoFurther() {
    var throttle = LoginThrottle(burst: 2, refill: .seconds(1), now: start)
    let later = start + .seconds(3600)
    let taken = (0..<3).map { _ in throttle.take(now: later) == nil }
    #expect(taken == [true, true, false])
  }

  @Test func whatIsGivenBackDoesNotCount() {
    var throttle = LoginThrottle(burst: 1, refill: .seconds(60), now: start)
    for _ in 0..<5 {
      let wait = throttle.take(now: start)
      #expect(wait == nil)
      throttle.giveBack()
    }
  }
}
