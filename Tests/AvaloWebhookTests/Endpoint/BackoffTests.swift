import Testing

@testable import AvaloWebhook

@Suite struct BackoffTests {
  private let backoff = Backoff(least: 1000, most: 60_000)

  @Test func doublesFromTheLeastToTheMostWithinItsUpperHalf() {
    var random = SystemRandomNumberGenerator()
    for (failures, full) in [(1, 1000), (2, 2000), (3, 4000), (6, 32_000), (7, 60_000), (8, 60_000), (1000, 60_000)] {
      for _ in 0..<50 {
        let delay = backoff.delay(after: failures, using: &random)
        #expect((Int64(full) / 2...Int64(full)).contains(delay), "after \(failures)")
      }
    }
  }

  @Test func isSpread() {
    var random = SystemRandomNumberGenerator()
    #expect(Set((0..<50).map { _ in backoff.delay(after: 7, using: &random) }).count > 10)
  }

  @Test func waitsAsLongAsItIsAskedToAndNotForEver() {
    var random = SystemRandomNumberGenerator()
    #expect(backoff.delay(after: 1, retryAfter: 30_000, using: &random) == 30_000)
    #expect(backoff.delay(after: 1, retryAfter: 10, using: &random) >= 500)
    #expect(backoff.delay(after: 1, retryAfter: .max, using: &random) == WebhookLimits.retryAfterMilliseconds)
  }
}

@Suite struct EndpointStateTests {
  private var random = SystemRandomNumberGenerator()
  private let backoff = Backoff(least: 1000, most: 8000)
  private var state = EndpointState()

  private func mayPost(_ inFlight: Int, at now: Int64) -> Bool {
    state.mayPost(inFlight: inFlight, concurrency: 4, at: now)
  }

  @Test mutating func isAskedWithOneEventAfterAPause() {
    #expect(mayPost(3, at: 0) && !mayPost(4, at: 0))
    state.unavailable(since: 0, at: 100, retryAfter: nil, backoff, using: &random)
    #expect(state.isPaused && !mayPost(0, at: 500))
    #expect(mayPost(0, at: 1100) && !mayPost(1, at: 1100))
    state.answered(at: 1200)
    #expect(!state.isPaused && mayPost(3, at: 1200))
    #expect(state.hasAnswered(since: 1100) && !state.hasAnswered(since: 1200))
  }

  @Test mutating func whatFailsTogetherIsOneFailure() {
    for now in [100, 101, 102] as [Int64] {
      state.unavailable(since: 0, at: now, retryAfter: nil, backoff, using: &random)
    }
    #expect(state.failures == 1)
    let pause = state.pausedUntil
    #expect(pause <= 1100)
    state.unavailable(since: pause, at: pause + 10, retryAfter: nil, backoff, using: &random)
    #expect(state.failures == 2 && state.pausedUntil >= pause + 1010)
  }

  @Test mutating func aLaterRetryAfterCountsWhoeverSaysIt() {
    state.unavailable(since: 0, at: 100, retryAfter: nil, backoff, using: &random)
    state.unavailable(since: 0, at: 110, retryAfter: 20_000, backoff, using: &random)
    #expect(state.pausedUntil == 20_110 && state.failures == 1)
    state.unavailable(since: 0, at: 120, retryAfter: nil, backoff, using: &random)
    #expect(state.pausedUntil == 20_110)
  }
}
