import Testing

@testable import AvaloClient

@Suite struct TypingThrottleTests {
  @Test func tellsTheFirstOneNowAndThenAndTheEndOnce() {
    var throttle = TypingThrottle()
    let presses: [(Bool, Int64)] = [
      (false, 0), (true, 1), (true, 2_000), (true, 3_001), (false, 3_100), (false, 3_200), (true, 3_300),
    ]
    let told = presses.map { throttle.take(chat: "c", isTyping: $0.0, now: $0.1) }
    #expect(told == [false, true, false, true, true, false, true])
  }

  @Test func whatCouldNotBeToldIsTriedAgainNowAndThenAndHasNoEnd() {
    var throttle = TypingThrottle()
    var told: [Bool] = []
    for (isTyping, now) in [(true, 0), (true, 1), (false, 2), (true, 3), (true, 3_000), (false, 3_001)] {
      told.append(throttle.take(chat: "c", isTyping: isTyping, now: Int64(now)))
      throttle.failed(chat: "c")
    }
    #expect(told == [true, false, false, false, true, false])
    let other = throttle.take(chat: "d", isTyping: true, now: 3_002)
    #expect(other)
  }
}
