import Testing

@testable import AvaloScheduler

@Suite struct AccessConfirmationsTests {
  private let one = LinkID(rawValue: 1)
  private let two = LinkID(rawValue: 2)
  private let patience = SchedulerLimits.accessConfirmMilliseconds

  @Test func withoutGatewaysEverythingIsInForce() {
    var table = AccessConfirmations<String>()
    table.wait(for: 1, since: 70, "a")
    #expect(table.deadline == 70, "at once")
    #expect(table.settled().map(\.caller) == ["a"])
    #expect(table.settled().isEmpty && table.deadline == nil)
  }

  @Test func waitsForTheSlowest() {
    var table = AccessConfirmations<String>()
    table.opened(one, at: 0)
    table.opened(two, at: 0)
    table.wait(for: 1, since: 0, "a")
    table.wait(for: 2, since: 0, "b")
    #expect(table.settled().isEmpty)
    table.confirmed(one, 2)
    #expect(table.settled().isEmpty)
    table.confirmed(two, 1)
    #expect(table.settled().map(\.caller) == ["a"])
    table.confirmed(two, 2)
    #expect(table.settled().map(\.caller) == ["b"])
  }

  @Test func twoCallersOfOnePositionAreAnsweredTogether() {
    var table = AccessConfirmations<String>()
    table.opened(one, at: 0)
    table.wait(for: 1, since: 0, "a")
    table.wait(for: 1, since: 5, "b")
    table.confirmed(one, 1)
    #expect(table.settled().map(\.caller) == ["a", "b"])
  }

  @Test func doesNotWaitForWhoIsGoneOrCameLater() {
    var table = AccessConfirmations<String>()
    table.opened(one, at: 0)
    table.wait(for: 1, since: 0, "a")
    table.opened(two, at: 1)
    #expect(table.settled().isEmpty)
    table.closed(one)
    #expect(table.settled().map(\.caller) == ["a"])
  }

  @Test func aConfirmationNeverGoesBack() {
    var table = AccessConfirmations<String>()
    table.opened(one, at: 0)
    table.confirmed(one, 5)
    table.confirmed(one, 3)
    table.wait(for: 4, since: 0, "a")
    #expect(table.settled().map(\.caller) == ["a"])
    // Of a link that is closed it means nothing.
    table.closed(one)
    table.confirmed(one, 9)
    table.opened(one, at: 4)
    table.wait(for: 5, since: 0, "b")
    #expect(table.settled().isEmpty)
  }

  @Test func namesWhoIsLate() {
    var table = AccessConfirmations<String>()
    table.opened(one, at: 0)
    table.opened(two, at: 0)
    table.wait(for: 1, since: 100, "a")
    table.wait(for: 2, since: 200, "b")
    table.confirmed(one, 1)
    #expect(table.deadline == 100 + patience)
    #expect(table.late(at: 99 + patience).isEmpty)
    #expect(table.late(at: 100 + patience) == [two])
    #expect(Set(table.late(at: 200 + patience)) == [one, two])
    table.closed(two)
    #expect(table.settled().map(\.caller) == ["a"])
    #expect(table.deadline == 200 + patience)
  }
}
