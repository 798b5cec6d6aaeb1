import Testing

@testable import AvaloPresence

@Suite struct SlabTests {
  private struct Row: SlabRow {
    var value: Int?
    static let free = Row(value: nil)
    var isFree: Bool { value == nil }
  }

  @Test func keepsRowsWhereTheyAreWhileItGrows() {
    var slab = Slab<Row>()
    let indices = (0..<2000).map { slab.insert(Row(value: $0)) }
    #expect(Set(indices).count == 2000)
    #expect(indices.enumerated().allSatisfy { slab[$1].value == $0 })
    slab[indices[1500]].value = -1
    #expect(slab[indices[1500]].value == -1 && slab.count == 2000)
  }

  @Test func usesFreedPlacesAgain() {
    var slab = Slab<Row>()
    let indices = (0..<10).map { slab.insert(Row(value: $0)) }
    slab.remove(indices[3])
    slab.remove(indices[7])
    #expect(Array(slab.indices) == indices.enumerated().filter { ![3, 7].contains($0.0) }.map(\.1))
    let again = [slab.insert(Row(value: 20)), slab.insert(Row(value: 21))]
    #expect(Set(again) == [indices[3], indices[7]])
    #expect(slab.count == 10 && slab.end == 10)
  }
}
