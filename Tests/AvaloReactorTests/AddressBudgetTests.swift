import Testing

@testable import AvaloReactor

@Suite struct AddressBudgetTests {
  @Test func admitsUpToTheBoundPerAddress() throws {
    let budget = AddressBudget(connectionsPerAddressMax: 2)
    let first = try #require(budget.admit("10.0.0.1"))
    #expect(budget.admit("10.0.0.1") == first)
    #expect(budget.admit("10.0.0.1") == nil)
    let other = try #require(budget.admit("10.0.0.2"))
    #expect(other != first)
    #expect(first != 0 && other != 0)
    budget.release(first)
    #expect(budget.count("10.0.0.1") == 1)
    #expect(budget.admit("10.0.0.1") != nil)
  }

  @Test func forgetsAnAddressWithItsLastConnection() throws {
    let budget = AddressBudget(connectionsPerAddressMax: 1)
    let lease = try #require(budget.admit("10.0.0.1"))
    budget.release(lease)
    #expect(budget.count("10.0.0.1") == 0)
    #expect(budget.admit("10.0.0.2") == lease, "its place is used again")
    budget.release(0)
    #expect(budget.count("10.0.0.2") == 1)
  }
}
