import AvaloTesting
import Testing

@testable import AvaloGateway

@Suite struct EventIDsTests {
  @Test func areSortedWithinAMillisecondAndAcrossThem() {
    var random: any RandomNumberGenerator = TestRandom(seed: 3)
    var ids = EventIDs()
    var made: [String] = []
    for now: Int64 in [1_700_000_000_000, 1_700_000_000_001, 1_700_000_000_500, 1_700_000_000_499] {
      for _ in 0..<500 { made.append(ids.next("evt_", now: now, using: &random)) }
    }
    #expect(made == made.sorted() && Set(made).count == made.count)
    #expect(made.allSatisfy { $0.hasPrefix("evt_") && $0.utf8.count == 30 })
  }

  @Test func spellTheTimeFirstAndTheChanceBehind() {
    struct Fixed: RandomNumberGenerator {
      var values: [UInt64]
      mutating func next() -> UInt64 { values.removeFirst() }
    }
    // The ULID of the specification's example time; all bits of chance set but the highest.
    var random: any RandomNumberGenerator = Fixed(values: [.max, .max])
    var ids = EventIDs()
    #expect(ids.next("", now: 1_469_918_176_385, using: &random) == "01aryz6s41" + "fzzzzzzzzzzzzzzz")
    #expect(ids.next("", now: 0, using: &random) == "01aryz6s41" + "g000000000000000")
    random = Fixed(values: [0x1234, 0x8000_0000_0000_0001])
    #expect(ids.next("", now: 1_469_918_176_386, using: &random) == "01aryz6s42" + "28t8000000000001")
  }
}
