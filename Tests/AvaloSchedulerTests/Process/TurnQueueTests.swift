import Testing

@testable import AvaloScheduler

/// Everybody has one taken in turn.
@Suite struct TurnQueueTests {
  private final class Bench {
    var queue: TurnQueue<Int>
    init(maxOfOne: Int) { queue = TurnQueue(maxOfOne: maxOfOne) }
    func add(_ item: Int, of name: String) -> Bool { queue.add(item, of: name) }
    func take() -> Int? { queue.take() }
    func drain() -> [Int] {
      var taken: [Int] = []
      while let item = queue.take() { taken.append(item) }
      return taken
    }
  }

  @Test func takesOneOfEachInTurnAndEachInOrder() {
    let bench = Bench(maxOfOne: 9)
    for item in 1...4 { #expect(bench.add(item, of: "ann")) }
    #expect(bench.add(10, of: "bob") && bench.add(11, of: "bob") && bench.add(20, of: "cem"))
    #expect(bench.queue.count == 7)
    #expect(bench.take() == 1)
    // Who has had a turn waits for the others.
    #expect(bench.add(5, of: "ann") && bench.add(30, of: "dee"))
    #expect(bench.drain() == [10, 20, 2, 30, 11, 3, 4, 5])
    #expect(bench.queue.isEmpty && bench.take() == nil)
    #expect(bench.add(6, of: "ann") && bench.drain() == [6])
  }

  @Test func refusesWhoHasTooManyAndNobodyElse() {
    let bench = Bench(maxOfOne: 2)
    #expect(bench.add(1, of: "ann") && bench.add(2, of: "ann") && !bench.add(3, of: "ann"))
    #expect(bench.add(9, of: "bob"))
    #expect(bench.take() == 1)
    #expect(bench.add(3, of: "ann"))
    #expect(bench.drain() == [9, 2, 3])
  }

  @Test func longQueuesKeepTheirOrder() {
    let bench = Bench(maxOfOne: 100)
    var expected: [Int] = []
    for item in 0..<50 {
      for user in 0..<20 { #expect(bench.add(user * 100 + item, of: "u\(user)")) }
      expected += (0..<20).map { $0 * 100 + item }
    }
    #expect(bench.drain() == expected)
  }
}
