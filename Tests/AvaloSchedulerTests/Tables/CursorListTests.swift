import AvaloTesting
import Testing

@testable import AvaloScheduler

@Suite struct CursorListTests {
  private func cursor(_ topic: Int32) -> SessionCursor {
    SessionCursor(topic: topic, isDirty: false, offset: UInt64(topic))
  }

  @Test(arguments: 1...20) func doesWhatAnArrayDoes(seed: UInt64) {
    var random = TestRandom(seed: seed)
    var list = CursorList()
    var array: [SessionCursor] = []
    for step in 0..<100 {
      switch Int.random(in: 0..<3, using: &random) {
      case 0 where !array.isEmpty:
        let index = Int.random(in: array.indices, using: &random)
        list.remove(at: index)
        array.remove(at: index)
      case 1 where !array.isEmpty:
        let index = Int.random(in: array.indices, using: &random)
        list[index].offset += 1
        array[index].offset += 1
      default:
        list.append(cursor(Int32(step)))
        array.append(cursor(Int32(step)))
      }
      #expect(Array(list) == array, "seed \(seed)")
    }
  }
}
