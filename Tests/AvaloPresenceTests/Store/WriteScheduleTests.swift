import Testing

@testable import AvaloPresence

@Suite struct WriteScheduleTests {
  @Test func writesOneBatchAtATime() {
    var schedule = WriteSchedule()
    let begun = [schedule.begin(at: 0), schedule.begin(at: 1_000_000)]
    #expect(begun == [true, false])
    let endsAnOutage = schedule.succeeded()
    #expect(!endsAnOutage)
    let begunAgain = schedule.begin(at: 0)
    #expect(begunAgain)
  }

  @Test func waitsTwiceAsLongAfterEachFailureUpToABound() {
    var schedule = WriteSchedule()
    var now: Int64 = 0
    var delays: [Int64] = []
    for attempt in 0..<40 {
      let begun = schedule.begin(at: now)
      let beginsAnOutage = schedule.failed(at: now)
      #expect(begun && beginsAnOutage == (attempt == 0))
      guard case .waiting(let until) = schedule.state else {
        Issue.record("\(schedule.state)")
        return
      }
      let tooEarly = schedule.begin(at: until - 1)
      #expect(!tooEarly)
      delays.append(until - now)
      now = until
    }
    #expect(delays.prefix(6) == [250, 500, 1000, 2000, 4000, 5000] && delays.last == 5000)
    let ends = (0..<2).map { _ in
      precondition(schedule.begin(at: now))
      return schedule.succeeded()
    }
    #expect(ends == [true, false], "an outage ends once")
  }
}
