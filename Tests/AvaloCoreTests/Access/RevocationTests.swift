import AvaloCore
import Testing

@Suite struct RevocationTests {
  private func token(_ user: String, _ id: String = "", at issued: Int64) -> TokenName {
    TokenName(user: user, tokenID: id, issuedAtMilliseconds: issued)
  }

  @Test func anEmptyTableCoversNothing() {
    #expect(!RevocationTable().covers(token("ann", "t", at: 0)))
  }

  @Test func aUsersTokensAreCoveredUpToTheMoment() {
    let table = RevocationTable([Revocation(.user("ann"), issuedBeforeMilliseconds: 1000, untilMilliseconds: 9000)])
    #expect(table.covers(token("ann", at: 999)))
    #expect(!table.covers(token("ann", at: 1000)))
    #expect(!table.covers(token("bob", at: 0)))
    // A token that does not say when it was issued is older than anything.
    #expect(table.covers(token("ann", at: 0)))
  }

  @Test func aTokenIsCoveredByItsIdWhenever() {
    let table = RevocationTable([.token("t1", untilMilliseconds: 9000)])
    #expect(table.covers(token("ann", "t1", at: 1 << 50)))
    #expect(!table.covers(token("ann", "t2", at: 0)))
    // A user of that name is somebody else, and no id is no id.
    #expect(!table.covers(token("t1", at: 0)))
    #expect(!RevocationTable([.token("", untilMilliseconds: 9000)]).covers(token("ann", at: 0)))
  }

  @Test func everybodyIsEverybody() {
    let table = RevocationTable([Revocation(.everybody, issuedBeforeMilliseconds: 1000, untilMilliseconds: 9000)])
    #expect(table.covers(token("ann", at: 999)) && table.covers(token("bob", "x", at: 0)))
    #expect(!table.covers(token("ann", at: 1000)))
  }

  @Test func ofTwoForOneTargetTheWiderCounts() {
    var table = RevocationTable()
    table.add(Revocation(.user("ann"), issuedBeforeMilliseconds: 1000, untilMilliseconds: 9000))
    table.add(Revocation(.user("ann"), issuedBeforeMilliseconds: 500, untilMilliseconds: 9500))
    #expect(table.count == 1)
    #expect(
      table[.user("ann")] == Revocation(.user("ann"), issuedBeforeMilliseconds: 1000, untilMilliseconds: 9500))
  }

  @Test func isForgottenOnlyWhenTold() {
    var table = RevocationTable([
      .token("a", untilMilliseconds: 10), .token("b", untilMilliseconds: 20), .token("c", untilMilliseconds: 30),
    ])
    #expect(table.outlived(at: 9, limit: 9).isEmpty)
    #expect(Set(table.outlived(at: 20, limit: 9)) == [.token("a"), .token("b")])
    #expect(table.outlived(at: 20, limit: 1).count == 1)
    #expect(table.covers(token("ann", "a", at: 0)))
    table.remove(.token("a"))
    #expect(!table.covers(token("ann", "a", at: 0)) && table.count == 2)
  }

  @Test func isMadeAnewOfAllItHolds() {
    let table = RevocationTable([
      .token("a", untilMilliseconds: 10), Revocation(.everybody, issuedBeforeMilliseconds: 5, untilMilliseconds: 6),
      Revocation(.user("u"), issuedBeforeMilliseconds: 7, untilMilliseconds: 8),
    ])
    #expect(table.all.count == 3 && RevocationTable(table.all) == table)
  }
}
