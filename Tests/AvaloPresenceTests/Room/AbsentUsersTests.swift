import Testing

@testable import AvaloPresence

/// What the file does not have it is not asked for again and again.
@Suite struct AbsentUsersTests {
  private let period = PresenceLimits.absentMilliseconds

  @Test func remembersForAPeriodAndForgetsInTheNextButOne() {
    var absent = AbsentUsers()
    absent.insert("ann", at: 10)
    #expect(absent.contains("ann") && !absent.contains("bob"))
    absent.insert("bob", at: 10 + period - 1)
    absent.turn(at: 10 + period)
    #expect(absent.contains("ann") && absent.contains("bob"))
    absent.insert("cem", at: 11 + period)
    absent.turn(at: 10 + 2 * period)
    #expect(!absent.contains("ann") && !absent.contains("bob") && absent.contains("cem"))
  }

  @Test func afterALongPauseNobodyIsLeft() {
    var absent = AbsentUsers()
    absent.insert("ann", at: 10)
    absent.turn(at: 10 + 2 * period)
    #expect(!absent.contains("ann"))
  }

  @Test func whoComesIsForgotten() {
    var absent = AbsentUsers()
    absent.insert("ann", at: 0)
    absent.turn(at: period)
    absent.insert("bob", at: period)
    absent.remove("ann")
    absent.remove("bob")
    absent.remove("nobody")
    #expect(!absent.contains("ann") && !absent.contains("bob"))
  }

  @Test func isBounded() {
    var absent = AbsentUsers()
    for number in 0...PresenceLimits.absentMax { absent.insert("u\(number)", at: 0) }
    #expect(absent.contains("u0") && !absent.contains("u\(PresenceLimits.absentMax)"))
  }
}
