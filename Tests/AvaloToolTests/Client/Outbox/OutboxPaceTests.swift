import Testing

@testable import AvaloClient

@Suite struct OutboxPaceTests {
  /// When each of so many goes out that are there from the beginning.
  private func times(_ count: Int, from start: Int64, _ pace: inout OutboxPace) -> [Int64] {
    (0..<count).reduce(into: []) { times, _ in
      let now = max(times.last ?? start, pace.next)
      pace.take(now)
      times.append(now)
    }
  }

  @Test func someGoAtOnceAndTheRestFiftyASecond() {
    var pace = OutboxPace()
    let times = times(400, from: 1_000, &pace)
    #expect(times[19] == 1_000 && times[20] == 1_020 && times[21] == 1_040)
    // The server allows 100 in any second.
    #expect(times.allSatisfy { start in times.count { (start..<start + 1_000).contains($0) } <= 70 })
  }

  @Test func aWhileOfSilenceAllowsSomeAtOnceAgain() {
    var pace = OutboxPace()
    _ = times(30, from: 0, &pace)
    #expect(times(20, from: 10_000, &pace) == Array(repeating: 10_000, count: 20))
  }
}
