import AvaloSystem
import Testing

@testable import AvaloSupervisor

@Suite struct RestartThrottleTests {
  let delays = RestartDelays(min: .milliseconds(100), max: .seconds(10))
  let start = MonotonicInstant(nanoseconds: 5_000_000_000)

  @Test func aLoopOfReadyAndDeathIsPromptAtFirstAndThenSlowsDown() {
    var throttle = RestartThrottle()
    var now = start
    var waits: [Duration] = []
    for _ in 0..<40 {
      throttle.becameReady()
      let delay = throttle.delayAfterReady(delays, uptime: .milliseconds(5), now: now)
      waits.append(delay)
      now = now + delay + .milliseconds(5)
    }
    #expect(waits.prefix(20).allSatisfy { $0 == .zero })
    #expect(
      Array(waits.dropFirst(20).prefix(8))
        == [100, 200, 400, 800, 1600, 3200, 6400, 10_000].map { Duration.milliseconds($0) })
    #expect(waits.last == .seconds(10))
  }

  @Test func oneDeathASecondIsAlwaysAnsweredAtOnce() {
    var throttle = RestartThrottle()
    var now = start
    for _ in 0..<200 {
      throttle.becameReady()
      now = now + .seconds(1)
      #expect(throttle.delayAfterReady(delays, uptime: .milliseconds(900), now: now) == .zero)
    }
  }

  @Test func aStableTimeGivesTheWholeCreditBack() {
    var throttle = RestartThrottle()
    for _ in 0..<30 { _ = throttle.delayAfterReady(delays, uptime: .zero, now: start) }
    #expect(throttle.level > 0)
    #expect(throttle.delayAfterReady(delays, uptime: SupervisorLimits.stableUptime, now: start + .seconds(10)) == .zero)
    #expect(throttle.level == 0)
  }

  @Test func delaysNeverOverflowAndNeverExceedTheMaximum() {
    var throttle = RestartThrottle()
    let wide = RestartDelays(min: .seconds(60), max: .seconds(3600))
    for _ in 0..<10_000 { #expect(throttle.delayBeforeReady(wide) <= .seconds(3600)) }
  }
}
