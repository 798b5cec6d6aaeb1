import Testing

@testable import AvaloGateway

@Suite struct PackedTextsTests {
  @Test func givesBackWhatItWasGiven() {
    let texts = ["ann", "", "€😀", String(repeating: "x", count: 5000)]
    let packed = PackedTexts(texts)
    #expect(packed.count == texts.count)
    #expect(texts.indices.map { packed[$0] } == texts)
    #expect(packed.utf8(0).elementsEqual("ann".utf8))
  }

  @Test func isEmptyWithoutTexts() {
    let packed = PackedTexts()
    #expect(packed.isEmpty && packed.count == 0)
    #expect(packed[3] == "")
    #expect(PackedTexts([]).isEmpty == false)
  }
}
