import AvaloTesting
import Testing

@testable import AvaloPresence

@Suite struct IndexTableTests {
  /// With few hashes, so that runs of collisions form, wrap around and are torn apart.
  @Test(arguments: [7, 1000, Int.max]) func findsWhatIsThereAndNothingElse(hashes: Int) {
    var random = TestRandom(seed: UInt64(truncatingIfNeeded: hashes))
    var table = IndexTable()
    var keys: [Int] = []
    var present: Set<UInt32> = []
    let hash = { [hashes] (key: Int) in key &* 0x9E37_79B9 & Int.max % hashes }
    func find(_ key: Int) -> UInt32? { table.find(hash(key)) { keys[Int($0)] == key } }
    for step in 0..<5000 {
      if Int.random(in: 0..<3, using: &random) > 0 || present.isEmpty {
        keys.append(step)
        let index = UInt32(keys.count - 1)
        table.insert(index) { hash(keys[Int($0)]) }
        present.insert(index)
      } else {
        let index = present.randomElement(using: &random)!
        table.remove(index) { hash(keys[Int($0)]) }
        present.remove(index)
        #expect(find(keys[Int(index)]) == nil)
      }
    }
    #expect(table.count == present.count)
    for index in keys.indices { #expect((find(keys[index]) != nil) == present.contains(UInt32(index))) }
  }
}
