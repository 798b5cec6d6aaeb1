import Testing

@testable import AvaloScheduler

@Suite struct SlabTests {
  @Test func aPlaceStaysAndIsTakenAgainWhenItIsFree() {
    var slab = Slab<String>()
    let places = (0..<1000).map { slab.add("value \($0)") }
    #expect(places == (0..<1000).map(Int32.init))
    #expect(slab.remove(300) == "value 300" && slab.remove(7) == "value 7")
    #expect(!slab.holds(300) && slab.holds(301) && !slab.holds(1000))
    slab[301] += "!"
    #expect(slab[301] == "value 301!" && slab[999] == "value 999")
    #expect(Array(slab.places).count == 998)
    #expect(slab.add("new") == 7 && slab.add("newer") == 300 && slab.add("newest") == 1000)
    #expect(slab[7] == "new" && slab[1000] == "newest" && slab.end == 1001)
  }
}
