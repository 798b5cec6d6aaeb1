import AvaloSystem
import Testing

@testable import AvaloGateway

@Suite struct RateTableTests {
  private let start = MonotonicInstant(nanoseconds: 5_000_000_000)

  @Test func aSecondsWorthMayComeAtOnceAndNoMore() {
    var table = RateTable<String>()
    for _ in 0..<10 { #expect(table.take("a", perSecond: 10, now: start) == nil) }
    #expect(table.take("a", perSecond: 10, now: start) == .milliseconds(100))
    // Asking costs nothing.
    #expect(table.take("a", perSecond: 10, now: start) == .milliseconds(100))
    #expect(table.take("b", perSecond: 10, now: start) == nil)
    #expect(table.take("a", perSecond: 10, now: start + .milliseconds(99)) == .milliseconds(1))
    #expect(table.take("a", perSecond: 10, now: start + .milliseconds(100)) == nil)
    #expect(table.take("a", perSecond: 10, now: start + .milliseconds(100)) != nil)
  }

  @Test func aRestSavesUpASecondsWorthAndNoMore() {
    var table = RateTable<String>()
    for _ in 0..<3 { _ = table.take("a", perSecond: 3, now: start) }
    let later = start + .seconds(3600)
    let taken = (0..<10).count { _ in table.take("a", perSecond: 3, now: later) == nil }
    #expect(taken == 3)
  }

  @Test func overTimeNobodyGetsMoreThanTheirRate() {
    var table = RateTable<Int>()
    var taken = 0
    for millisecond in 0..<10_000 {
      if table.take(1, perSecond: 7, now: start + .milliseconds(millisecond)) == nil { taken += 1 }
    }
    // Ten seconds, and the second's worth that was there at first.
    #expect((76...77).contains(taken))
  }

  @Test func aLowerRateHoldsAtOnce() {
    var table = RateTable<String>()
    for _ in 0..<100 { _ = table.take("a", perSecond: 100, now: start) }
    #expect(table.take("a", perSecond: 1, now: start + .milliseconds(500)) != nil)
    #expect(table.take("a", perSecond: 1, now: start + .seconds(1)) == nil)
  }

  @Test func keepsThoseOfTheLastSecondOnly() {
    var table = RateTable<Int>()
    for key in 0..<100_000 { _ = table.take(key, perSecond: 10, now: start + .microseconds(100 * key)) }
    // A key is forgotten a tenth of a second after its one call: some thousand are still of use.
    #expect(table.count < 5000)
  }
}
