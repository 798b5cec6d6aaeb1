import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct UnappliedRemovalsTests {
  private func step(_ position: UInt64, _ users: String...) -> AccessChanged {
    AccessChanged(position: position, changes: [.removed(Topic("chat:c")!, users: users)])
  }

  private func users(_ removals: [UnappliedRemovals.Removal]) -> [String] { removals.flatMap(\.users) }

  @Test func answersWhatTheLastLoopHasApplied() {
    var removals = UnappliedRemovals()
    removals.received(step(4, "ann"), link: 1, loops: 2)
    removals.received(step(6, "bob", "eve"), link: 1, loops: 2)
    var told = [removals.applied(4, link: 1), removals.applied(6, link: 1)].map(users)
    #expect(told == [[], []])
    told = [removals.applied(4, link: 1), removals.applied(6, link: 1)].map(users)
    #expect(told == [["ann"], ["bob", "eve"]])
    #expect(removals.isEmpty)
  }

  @Test func keepsNothingOfAStepThatTakesNothingAway() {
    var removals = UnappliedRemovals()
    removals.received(AccessChanged(position: 1, changes: []), link: 1, loops: 1)
    #expect(removals.isEmpty)
    let told = removals.applied(1, link: 1)
    #expect(told.isEmpty)
  }

  /// Another log may count from elsewhere.
  @Test func aPositionBelongsToItsLink() {
    var removals = UnappliedRemovals()
    removals.received(step(4, "ann"), link: 1, loops: 1)
    removals.received(step(4, "bob"), link: 2, loops: 1)
    let told = [removals.applied(4, link: 2), removals.applied(4, link: 1), removals.applied(4, link: 1)].map(users)
    #expect(told == [["bob"], ["ann"], []])
  }
}
