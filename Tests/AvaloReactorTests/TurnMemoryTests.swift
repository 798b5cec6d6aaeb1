import AvaloTesting
import Testing

@testable import AvaloReactor

@Suite struct TurnMemoryTests {
  @Test func arenaGivesNeighboursAndGrowsTheNewest() {
    var arena = Arena()
    let first = arena.allocate(10)
    let second = arena.allocate(20)
    #expect(second == first + 10)
    let oldGrows = arena.extend(first, from: 10, by: 1)
    #expect(!oldGrows, "only the newest can grow")
    let newestGrows = arena.extend(second, from: 20, by: 5)
    #expect(newestGrows)
    let third = arena.allocate(1)
    #expect(third == second + 25)
    let coveredGrows = arena.extend(second, from: 25, by: 1)
    #expect(!coveredGrows)
    let aligned = arena.allocateAligned(8)
    #expect(UInt(bitPattern: aligned) % 16 == 0)
  }

  @Test func arenaHoldsWhateverATurnNeeds() {
    var arena = Arena()
    var blocks: [(start: UnsafeMutableRawPointer, count: Int, fill: UInt8)] = []
    var random = TestRandom(seed: 3)
    for turn in 0..<5 {
      for number in 0..<60 {
        let count = number % 20 == 0 ? Limits.arenaChunkBytes * 2 : Int.random(in: 1...30_000, using: &random)
        let start = arena.allocate(count)
        let fill = UInt8(truncatingIfNeeded: turn * 60 + number)
        start.initializeMemory(as: UInt8.self, repeating: fill, count: count)
        blocks.append((start, count, fill))
      }
      for block in blocks {
        let bytes = UnsafeRawBufferPointer(start: block.start, count: block.count)
        #expect(bytes.allSatisfy { $0 == block.fill }, "no two allocations overlap")
      }
      blocks.removeAll()
      arena.reset()
    }
  }

  @Test func arenaUsesItsMemoryAgain() {
    var arena = Arena()
    let first = arena.allocate(100)
    arena.reset()
    let again = arena.allocate(100)
    #expect(again == first)
  }

  @Test func queueKeepsOrderThroughAppendsAndRemovals() {
    var queue = ByteQueue()
    var model: [UInt8] = []
    var random = TestRandom(seed: 5)
    for _ in 0..<3_000 {
      switch Int.random(in: 0..<5, using: &random) {
      case 0...2:
        let more = random.bytes(Int.random(in: 0...400, using: &random))
        model += more
        more.withUnsafeBytes { queue.append($0) }
      case 3:
        let count = Int.random(in: 0...min(model.count, 700), using: &random)
        model.removeFirst(count)
        queue.removeFirst(count)
      default:
        let kept = model.count - Int.random(in: 0...min(model.count, 50), using: &random)
        model.removeLast(model.count - kept)
        queue.truncate(to: kept)
      }
      let held = Array(queue.bytes)
      guard held == model else {
        Issue.record("differs at \(model.count) bytes")
        return
      }
    }
    queue.truncate(to: 0)
    let memory = queue.bytes.baseAddress
    #expect(memory == nil, "an empty queue holds no memory")
  }
}
