import AvaloTesting
import Testing

@testable import AvaloGateway

@Suite struct SlotIndexTests {
  @Test func findsEverySlotOfAKey() {
    var index = SlotIndex()
    #expect(index.slots(7) == [])
    for slot in [3, 900, 0] as [UInt32] { index.insert(slot, hash: 7) }
    index.insert(5, hash: 7 + 1 << 20)  // of the same chain, and another key's
    #expect(Set(index.slots(7)) == [0, 3, 900] && index.slots(7 + 1 << 20) == [5])
    index.remove(3)
    index.remove(3)
    index.remove(77)
    #expect(Set(index.slots(7)) == [0, 900] && index.count == 3)
    index.insert(3, hash: 8)
    #expect(index.slots(8) == [3])
  }

  @Test func agreesWithAModelWhateverComesAndGoes() {
    var random = TestRandom(seed: 0x51_07)
    var index = SlotIndex()
    var model: [UInt32: UInt32] = [:]
    for _ in 0..<5_000 {
      let slot = UInt32.random(in: 0..<400, using: &random)
      if model[slot] == nil {
        // Few keys and few low bits, so that chains are long.
        let hash = UInt32.random(in: 0..<12, using: &random) << 4
        index.insert(slot, hash: hash)
        model[slot] = hash
      } else {
        index.remove(slot)
        model[slot] = nil
      }
      let hash = UInt32.random(in: 0..<12, using: &random) << 4
      #expect(Set(index.slots(hash)) == Set(model.filter { $0.value == hash }.keys))
      #expect(index.count == model.count)
    }
  }

  /// An issuer may give all its tokens the same id.
  @Test func holdsVeryManySlotsOfOneKey() {
    var index = SlotIndex()
    for slot in 0..<50_000 { index.insert(UInt32(slot), hash: 1) }
    #expect(index.slots(1).count == 50_000)
    for slot in 0..<50_000 { index.remove(UInt32(slot)) }
    #expect(index.count == 0 && index.slots(1) == [])
  }
}
