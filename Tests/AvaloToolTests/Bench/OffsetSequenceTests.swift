import Testing

@testable import avalo_bench

@Suite struct OffsetSequenceTests {
  private func sequence(after start: UInt64 = 0, _ offsets: [UInt64]) -> OffsetSequence {
    var sequence = OffsetSequence(after: start)
    for offset in offsets { sequence.accept(offset) }
    return sequence
  }

  private func counts(_ sequence: OffsetSequence) -> [UInt64] {
    [sequence.missing, sequence.duplicates, sequence.reordered]
  }

  @Test func inOrderNothingIsWrong() {
    let sequence = sequence(after: 5, [6, 7, 8])
    #expect(counts(sequence) == [0, 0, 0] && sequence.last == 8)
  }

  @Test func tellsMissingDuplicateAndLateApart() {
    #expect(counts(sequence([1, 3])) == [1, 0, 0])
    #expect(counts(sequence([1, 2, 2])) == [0, 1, 0])
    #expect(counts(sequence([1, 3, 2])) == [0, 0, 1])
    #expect(counts(sequence([1, 3, 2, 2])) == [0, 1, 1])
    #expect(counts(sequence([1, 100])) == [98, 0, 0])
    #expect(counts(sequence([1, 100, 99])) == [97, 0, 1])
    #expect(counts(sequence(after: 5, [5])) == [0, 1, 0])
  }

  @Test func whatTheServerTellsIsNotMissing() {
    var told = sequence([1, 2])
    told.tell(from: 3, through: 5)
    told.accept(6)
    #expect(counts(told) == [0, 0, 0] && told.told == 3)
    // Behind a hole it explains nothing.
    told.tell(from: 9, through: 10)
    #expect(told.last == 6)
  }

  @Test func aHeadBeyondWhatCameIsMissing() {
    var sequence = sequence([1, 2])
    sequence.reach(5)
    #expect(counts(sequence) == [3, 0, 0])
    let isNew = sequence.accept(4)
    #expect(isNew)
    #expect(counts(sequence) == [2, 0, 1])
    let isNewAgain = sequence.accept(4)
    #expect(!isNewAgain)
    #expect(counts(sequence) == [2, 1, 1])
    sequence.reach(5)
    #expect(counts(sequence) == [2, 1, 1])
  }

  @Test func agreesWithASlowModel() {
    for seed in 0..<300 {
      var random = SplitMix64(seed: UInt64(seed))
      var fast = OffsetSequence()
      var seen: Set<UInt64> = []
      var duplicates: UInt64 = 0
      var reordered: UInt64 = 0
      var last: UInt64 = 0
      for _ in 0..<100 {
        let offset = max(1, Int64(last) + Int64.random(in: -3...3, using: &random))
        if !seen.insert(UInt64(offset)).inserted {
          duplicates += 1
        } else if UInt64(offset) < last {
          reordered += 1
        }
        last = max(last, UInt64(offset))
        fast.accept(UInt64(offset))
      }
      #expect(counts(fast) == [last - UInt64(seen.count), duplicates, reordered], "seed \(seed)")
    }
  }
}
