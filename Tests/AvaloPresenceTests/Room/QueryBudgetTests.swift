import AvaloWire
import Testing

@testable import AvaloPresence

/// One viewer's questions are refused before they cost others anything.
@Suite struct QueryBudgetTests {
  private let max = PresenceLimits.usersOfViewerMax

  private final class Bench {
    private var budget = QueryBudget()
    var underWay: Int { budget.underWay }
    func ask(_ viewer: String, _ users: Int, at now: Int64) -> Failed? { budget.ask(viewer, users, at: now) }
    func begin(_ users: Int) -> Failed? { budget.begin(users) }
    func end(_ users: Int) { budget.end(users) }
  }

  @Test func aViewerAsksOnlySoMuchInASecond() {
    let budget = Bench()
    #expect(budget.ask("mal", max - 1, at: 5000) == nil)
    let refusal = budget.ask("mal", 2, at: 5400)
    #expect(refusal?.code == .resourceExhausted && refusal?.retryAfterMilliseconds == 600)
    #expect(budget.ask("mal", 1, at: 5400) == nil, "what was refused was not counted")
    #expect(budget.ask("ann", 256, at: 5400) == nil)
    #expect(budget.ask("", 256, at: 5400) == nil, "a server")
    #expect(budget.ask("mal", max, at: 6000) == nil)
  }

  @Test func ofTooManyViewersTheRestShareABound() {
    let budget = Bench()
    for number in 0..<PresenceLimits.viewersMax { #expect(budget.ask("u\(number)", 1, at: 0) == nil) }
    #expect(budget.ask("late", max * 10, at: 0) == nil)
    #expect(budget.ask("later", 1, at: 0)?.code == .resourceExhausted)
    #expect(budget.ask("u0", 1, at: 0) == nil)
  }

  @Test func theFileIsAskedForOnlySoManyAtATime() {
    let budget = Bench()
    #expect(budget.begin(PresenceLimits.usersAskedMax) == nil)
    #expect(budget.begin(1)?.code == .unavailable)
    budget.end(256)
    #expect(budget.begin(256) == nil)
    budget.end(PresenceLimits.usersAskedMax)
    #expect(budget.underWay == 0)
  }
}
