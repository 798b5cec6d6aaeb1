import Testing

@testable import AvaloClient

@Suite struct BackoffTests {
  @Test func doublesUpToItsBoundAndStartsOver() {
    var random = SplitMix64(seed: 1)
    var backoff = Backoff(100...1_000)
    let expected = [100, 200, 400, 800, 1_000, 1_000]
    for full in expected {
      let delay = backoff.next(using: &random)
      #expect((full / 2...full).contains(delay))
    }
    backoff.reset()
    #expect((50...100).contains(backoff.next(using: &random)))
  }

  @Test func neverOverflows() {
    var random = SplitMix64(seed: 1)
    var backoff = Backoff(1_000...30_000)
    for _ in 0..<200 { #expect(backoff.next(using: &random) <= 30_000) }
  }
}
