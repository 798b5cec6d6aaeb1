import Testing

@testable import AvaloPresence

@Suite struct VersionCounterTests {
  private let block = PresenceLimits.versionsReserved

  @Test func asksForMoreWhenHalfIsUsed() {
    var counter = VersionCounter(after: 0, reserved: block)
    for _ in 0..<(block / 2) { _ = counter.next() }
    #expect(!counter.needsReserve)
    #expect(counter.next() == block / 2 + 1)
    #expect(counter.needsReserve)
    let asked = counter.takeReserve()
    #expect(asked == block / 2 + 1 + block)
    #expect(!counter.needsReserve, "it is on its way")
    counter.reserveEnded(written: false)
    #expect(counter.needsReserve && counter.reserved == block)
    let again = counter.takeReserve()
    counter.reserveEnded(written: true)
    #expect(counter.reserved == again && !counter.needsReserve)
  }
}
