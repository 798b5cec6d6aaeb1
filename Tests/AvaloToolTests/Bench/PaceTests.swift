import Testing

@testable import avalo_bench

@Suite struct PaceTests {
  @Test func whatIsLateStaysDueAtItsOwnTime() {
    var pace = Pace(start: 1_000, perSecond: 1_000)
    #expect(pace.due(at: 999) == 0)
    #expect(pace.due(at: 1_000) == 1)
    #expect(pace.due(at: 1_000 + 10_000_000) == 11)
    pace.issued = 3
    #expect(pace.next == 1_000 + 3_000_000)
  }
}
