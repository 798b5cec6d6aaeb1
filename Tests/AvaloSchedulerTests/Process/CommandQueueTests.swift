import AvaloSystem
import Testing

@testable import AvaloScheduler

@Suite struct CommandQueueTests {
  @Test func givesWhatItTookInOrderAndInGroups() {
    let queue = CommandQueue<Int>(max: 100)
    for number in 0..<10 { #expect(queue.post(number, mayRefuse: true)) }
    #expect(queue.take(limit: 4, waitMilliseconds: 0) == [0, 1, 2, 3])
    #expect(queue.post(10, mayRefuse: true))
    #expect(queue.count == 7)
    #expect(queue.take(limit: 4, waitMilliseconds: 0) == [4, 5, 6, 7])
    #expect(queue.take(limit: 4, waitMilliseconds: 0) == [8, 9, 10])
    #expect(queue.take(limit: 4, waitMilliseconds: 0) == [])
  }

  @Test func refusesWhatIsTooMuchUnlessItMustBeTaken() {
    let queue = CommandQueue<Int>(max: 2)
    #expect(queue.post(1, mayRefuse: true) && queue.post(2, mayRefuse: true))
    #expect(!queue.post(3, mayRefuse: true))
    #expect(queue.post(4, mayRefuse: false))
    #expect(queue.take(limit: 2, waitMilliseconds: 0) == [1, 2])
    #expect(queue.post(5, mayRefuse: true))
    #expect(!queue.post(6, mayRefuse: true))
    #expect(queue.take(limit: 9, waitMilliseconds: 0) == [4, 5])
  }

  @Test func takesNothingInOnceItIsClosedAndGivesTheRest() {
    let queue = CommandQueue<Int>(max: 2)
    #expect(queue.post(1, mayRefuse: false))
    queue.close()
    #expect(!queue.post(2, mayRefuse: false))
    #expect(queue.take(limit: 9, waitMilliseconds: 1000) == [1])
    #expect(queue.take(limit: 9, waitMilliseconds: 1000) == nil)
  }

  @Test func waitsForTheFirstItemAndNoLonger() throws {
    let queue = CommandQueue<Int>(max: 100)
    let clock = MonotonicClock.system
    let start = clock.now
    #expect(queue.take(limit: 1, waitMilliseconds: 30) == [])
    #expect(clock.now - start >= .milliseconds(30))
    try SystemThread.start(name: "poster") {
      for number in 0..<1000 { _ = queue.post(number, mayRefuse: false) }
      queue.close()
    }
    // Waits far beyond the test's patience when a wake-up is lost.
    var taken: [Int] = []
    while let group = queue.take(limit: 7, waitMilliseconds: 600_000) { taken += group }
    #expect(taken == Array(0..<1000))
  }

  @Test func manyPostersLoseNothing() throws {
    let queue = CommandQueue<Int>(max: 1 << 20)
    let posters = 4
    let each = 20_000
    for poster in 0..<posters {
      try SystemThread.start(name: "poster") {
        for number in 0..<each { _ = queue.post(poster * each + number, mayRefuse: true) }
      }
    }
    var seen = [Int](repeating: 0, count: posters)
    var total = 0
    while total < posters * each {
      for item in try #require(queue.take(limit: 100, waitMilliseconds: 60_000)) {
        #expect(item % each == seen[item / each], "out of order")
        seen[item / each] += 1
        total += 1
      }
    }
  }
}
