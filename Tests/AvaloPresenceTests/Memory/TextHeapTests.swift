import AvaloTesting
import Testing

@testable import AvaloPresence

@Suite struct TextHeapTests {
  @Test func keepsTextsOfEveryLength() {
    var heap = TextHeap()
    let texts = (0...TextHeap.textBytesMax).map { String(repeating: "ä", count: $0 / 2) + ($0 % 2 == 0 ? "" : "x") }
    let references = texts.map { heap.insert($0) }
    #expect(Set(references).count == texts.count)
    for (text, reference) in zip(texts, references) {
      #expect(heap[reference] == text)
      #expect(heap.equals(reference, text.utf8) && !heap.equals(reference, (text + "!").utf8))
    }
  }

  /// Against an array of strings, with everything that came and went.
  @Test func neverMixesTextsUp() {
    var random = TestRandom(seed: 11)
    var heap = TextHeap()
    var model: [(reference: TextHeap.Reference, text: String)] = []
    for step in 0..<60_000 {
      if model.isEmpty || (Int.random(in: 0..<5, using: &random) > 1 && model.count < 4000) {
        let text = "\(step)-" + String(repeating: "y", count: Int.random(in: 0...60, using: &random))
        model.append((heap.insert(text), text))
      } else {
        let gone = model.remove(at: Int.random(in: 0..<model.count, using: &random))
        #expect(heap[gone.reference] == gone.text)
        heap.remove(gone.reference)
      }
    }
    for (reference, text) in model { #expect(heap[reference] == text) }
  }
}
