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

  @Test func whatCouldNotBeToldIsTriedWithTheNextKey() {
    var throttle = TypingThrottle()
    _ = throttle.take(chat: "c", isTyping: true, now: 0)
    throttle.failed(chat: "c")
    let again = throttle.take(chat: "c", isTyping: true, now: 1)
    #expect(again)
  }
}
