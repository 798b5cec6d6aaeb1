import Testing

@testable import AvaloClient

@Suite struct BackoffTests {
  @Test func theBoundDoublesUpToHalfAMinute() {
    let delays = (1...8).map { Backoff.delay(failures: $0, first: 1_000) { 1 } }
    #expect(delays == [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
    #expect(Backoff.delay(failures: .max, first: 1_000) { 1 } == 30_000, "however often")
  }

  @Test func anythingBelowTheBoundMayBeDrawn() {
    #expect(Backoff.delay(failures: 3, first: 1_000) { 0 } == 0)
    #expect(Backoff.delay(failures: 3, first: 1_000) { 0.5 } == 2_000)
  }
}
