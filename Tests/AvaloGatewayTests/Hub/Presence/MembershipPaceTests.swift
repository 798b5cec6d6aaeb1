import AvaloCore
import Testing

@testable import AvaloGateway

@Suite struct MembershipPaceTests {
  /// How many questions the rest of a second has.
  private func takeAll(_ pace: MembershipPace, _ second: UInt32, isAgain: Bool = false) -> Int {
    var count = 0
    while pace.take(nowSeconds: second, isAgain: isAgain) { count += 1 }
    return count
  }

  @Test func hasSoManyOfThoseWithAsManyChatsAsCount() {
    let pace = MembershipPace()
    let most = HubLimits.membershipLookupsPerSecond / Limits.presenceChatsMax
    let first = takeAll(pace, 7)
    #expect(first == most)
    pace.answered(chats: Limits.presenceChatsMax, askedIn: 7)
    let none = takeAll(pace, 7)
    #expect(none == 0, "that was the most an answer may cost")
    let behind = takeAll(pace, 6)
    #expect(behind == 0, "a loop whose clock is read a moment earlier gets no second of its own")
    let next = takeAll(pace, 8)
    #expect(next == most)
    pace.answered(chats: 1, askedIn: 7)
    let late = takeAll(pace, 8)
    #expect(late == 0)
  }

  @Test func leavesHalfToThoseWhoAreShownNothingYet() {
    let pace = MembershipPace()
    let most = HubLimits.membershipLookupsPerSecond / Limits.presenceChatsMax
    let again = takeAll(pace, 7, isAgain: true)
    let first = takeAll(pace, 7)
    #expect(again == most / 2 && first == most - most / 2)
    let next = takeAll(pace, 8)
    let none = takeAll(pace, 8, isAgain: true)
    #expect(next == most && none == 0)
  }

  /// Users are in few chats, but a question costs something, too.
  @Test func givesBackWhatAnAnswerDidNotCost() {
    let pace = MembershipPace()
    var count = 0
    while pace.take(nowSeconds: 7) {
      count += 1
      pace.answered(chats: 0, askedIn: 7)
    }
    let left = HubLimits.membershipLookupsPerSecond - Limits.presenceChatsMax
    #expect(count == left / HubLimits.membershipLookupsMin + 1)
  }
}
