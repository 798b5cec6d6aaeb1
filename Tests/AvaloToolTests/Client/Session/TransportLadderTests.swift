import Testing

@testable import AvaloClient

@Suite struct TransportLadderTests {
  @Test func goesDownAfterTwoFailuresInARowAndAroundAfterOne() {
    var ladder = TransportLadder(count: 2)
    ladder.failed()
    #expect(ladder.current == 0)
    ladder.ready()
    ladder.failed()
    #expect(ladder.current == 0, "there was a success between them")
    ladder.failed()
    #expect(ladder.current == 1)
    ladder.failed()
    #expect(ladder.current == 0)
  }

  @Test func looksForTheBestOneLessAndLessOften() {
    var ladder = TransportLadder(count: 2)
    #expect(ladder.nextProbe() == nil)
    ladder.failed()
    ladder.failed()
    #expect((0..<4).map { _ in ladder.nextProbe() } == [5_000, 60_000, 300_000, 300_000])
    ladder.upgrade()
    #expect(ladder.current == 0)
  }

  @Test func oneTransportIsAllThereIs() {
    var ladder = TransportLadder(count: 1)
    for _ in 0..<5 { ladder.failed() }
    #expect(ladder.current == 0)
    #expect(ladder.nextProbe() == nil)
  }
}
