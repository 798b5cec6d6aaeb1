import Testing

@testable import AvaloClient

@Suite struct RecentKeysTests {
  @Test func forgetsTheOldestAndKeepsWhatWasSetAgain() {
    var keys = RecentKeys<Int>(max: 3)
    for (key, value) in [("a", 1), ("b", 2), ("c", 3), ("a", 4), ("d", 5)] { keys.set(key, value) }
    #expect(keys["b"] == nil)
    #expect([keys["a"], keys["c"], keys["d"]] == [4, 3, 5])
    #expect(keys.count == 3)
  }

  @Test func saysWhetherAKeyIsNew() {
    var keys = RecentKeys<Void>(max: 2)
    let answers = ["a", "a", "b", "c", "a"].map { keys.insert($0, ()) }
    #expect(answers == [true, false, true, true, true])
  }

  @Test func staysSmallHoweverLongItLives() {
    var keys = RecentKeys<Int>(max: 10)
    for number in 0..<10_000 { keys.set("k\(number % 25)", number) }
    #expect(keys.count == 10)
    #expect(keys["k24"] == 9_999)
    keys.remove { $0 == "k24" }
    #expect(keys["k24"] == nil)
    #expect(keys.count == 9)
  }
}
