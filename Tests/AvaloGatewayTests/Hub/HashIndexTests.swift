import AvaloTesting
import Testing

@testable import AvaloGateway

@Suite struct HashIndexTests {
  @Test func findsWhatWasInsertedAmongEqualHashes() {
    let keys = ["a", "b", "c"]
    var index = HashIndex()
    for number in keys.indices { index.insert(UInt32(number), hash: 7) }
    for (number, key) in keys.enumerated() {
      #expect(index.first(7) { keys[Int($0)] == key } == UInt32(number))
    }
    #expect(index.first(8) { _ in true } == nil)
  }

  @Test func isEmptyAtFirst() {
    #expect(HashIndex().first(1) { _ in true } == nil)
  }

  @Test func replacesANumberInItsPlace() {
    var index = HashIndex()
    index.insert(1, hash: 5)
    index.replace(1, with: 2, hash: 5)
    #expect(index.first(5) { _ in true } == 2)
    #expect(index.count == 1)
  }

  /// Many inserts and removals of colliding hashes, beside a dictionary that does the same.
  @Test func agreesWithADictionary() {
    var random = TestRandom(seed: 0xA11)
    var index = HashIndex()
    var model: [UInt32: UInt32] = [:]
    for _ in 0..<20_000 {
      let value = UInt32.random(in: 0..<300, using: &random)
      if let hash = model[value] {
        index.remove(value, hash: hash)
        model[value] = nil
      } else {
        // Few hashes, so that runs are long and removals move others.
        let hash = UInt32.random(in: 0..<40, using: &random) &* 0x0101_0101
        index.insert(value, hash: hash)
        model[value] = hash
      }
      let probe = UInt32.random(in: 0..<300, using: &random)
      let found = model[probe].flatMap { hash in index.first(hash) { $0 == probe } }
      #expect(found == (model[probe] == nil ? nil : probe))
      #expect(index.count == model.count)
    }
    for (value, hash) in model { #expect(index.first(hash) { $0 == value } == value) }
  }
}
