import AvaloWire
import Testing

@testable import AvaloScheduler

@Suite struct LeaseTableTests {
  private let name = LeaseTable.Name(user: "ann", connection: "c1", use: .poll)

  private func holder(_ session: UInt64, began: Int64, link: UInt32 = 1) -> LeaseTable.Holder {
    LeaseTable.Holder(
      link: LinkID(rawValue: link), session: session, place: 0, correlation: 0, began: began)
  }

  @Test func theOneThatBeganLastStands() {
    var table = LeaseTable()
    #expect(table.take(name, holder(1, began: 10)) == nil)
    #expect(table.take(name, holder(2, began: 20, link: 2)) == holder(1, began: 10))
    // One that comes late began earlier all the same.
    #expect(table.take(name, holder(3, began: 15)) == holder(3, began: 15))
    #expect(table.take(name, holder(4, began: 30)) == holder(2, began: 20, link: 2))
    #expect(table.count == 1)
  }

  @Test func namingItAgainIsNoLoss() {
    var table = LeaseTable()
    #expect(table.take(name, holder(1, began: 10)) == nil)
    #expect(table.take(name, holder(1, began: 10)) == nil)
  }

  @Test func usersConnectionsAndUsesAreApart() {
    var table = LeaseTable()
    #expect(table.take(name, holder(1, began: 10)) == nil)
    #expect(table.take(.init(user: "bob", connection: "c1", use: .poll), holder(2, began: 20)) == nil)
    #expect(table.take(.init(user: "ann", connection: "c2", use: .poll), holder(3, began: 20)) == nil)
    #expect(table.take(.init(user: "ann", connection: "c1", use: .stream), holder(4, began: 20)) == nil)
    #expect(table.count == 4)
  }

  @Test func whatHasEndedLosesNothing() {
    var table = LeaseTable()
    _ = table.take(name, holder(1, began: 10))
    table.end(1, of: LinkID(rawValue: 1))
    #expect(table.take(name, holder(2, began: 5, link: 2)) == nil)
    table.end(LinkID(rawValue: 2))
    #expect(table.count == 0 && table.take(name, holder(3, began: 1)) == nil)
    // The end of a session that had lost it takes nothing from the one that has it.
    _ = table.take(name, holder(4, began: 9))
    table.end(3, of: LinkID(rawValue: 1))
    #expect(table.take(name, holder(5, began: 10)) == holder(4, began: 9))
  }
}
