/// Short texts (ids) in blocks of bytes, found by a 32-bit reference: a length byte and the UTF-8, without the two heap
/// words and the sixteen bytes of a `String` that each would cost otherwise. A freed text's place goes to the next one of
/// its size. Owned by the board.
struct TextHeap {
  /// A text's place.
  typealias Reference = UInt32

  static let textBytesMax = 255
  private static let unitBytes = 8
  private static let unitsMax = (1 + textBytesMax + unitBytes - 1) / unitBytes
  private static let blockShift: UInt32 = 13
  private static let blockUnits = 1 << Int(blockShift)

  private var blocks = ContiguousArray<ContiguousArray<UInt8>>()
  /// The first unit of the last block that was never given out.
  private var fresh = TextHeap.blockUnits
  /// By units, less one.
  private var freed = ContiguousArray<ContiguousArray<Reference>>(repeating: [], count: TextHeap.unitsMax)

  mutating func insert(_ text: String) -> Reference {
    var text = text
    return text.withUTF8 { insert($0) }
  }

  private mutating func insert(_ text: UnsafeBufferPointer<UInt8>) -> Reference {
    precondition(text.count <= TextHeap.textBytesMax, "a text of \(text.count) bytes")
    let reference = place(TextHeap.units(text.count))
    let start = TextHeap.byte(reference)
    blocks[Int(reference >> TextHeap.blockShift)].withUnsafeMutableBufferPointer { block in
      block[start] = UInt8(text.count)
      for (offset, byte) in text.enumerated() { block[start + 1 + offset] = byte }
    }
    return reference
  }

  mutating func remove(_ reference: Reference) {
    let units = with(reference) { TextHeap.units($0.count) }
    freed[units - 1].append(reference)
  }

  subscript(reference: Reference) -> String { with(reference) { String(decoding: $0, as: UTF8.self) } }

  func equals(_ reference: Reference, _ text: some Collection<UInt8>) -> Bool {
    with(reference) { $0.elementsEqual(text) }
  }

  /// The text's bytes where they lie.
  func with<Result>(_ reference: Reference, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    let start = TextHeap.byte(reference)
    return blocks[Int(reference >> TextHeap.blockShift)].withUnsafeBufferPointer { block in
      body(UnsafeBufferPointer(rebasing: block[(start + 1)..<(start + 1 + Int(block[start]))]))
    }
  }

  private mutating func place(_ units: Int) -> Reference {
    if let reference = freed[units - 1].popLast() { return reference }
    if fresh + units > TextHeap.blockUnits {
      // What is left of the block is for a shorter text.
      let rest = TextHeap.blockUnits - fresh
      if rest > 0 { freed[rest - 1].append(reference(fresh)) }
      blocks.append(ContiguousArray(repeating: 0, count: TextHeap.blockUnits * TextHeap.unitBytes))
      fresh = 0
    }
    defer { fresh += units }
    return reference(fresh)
  }

  private func reference(_ unit: Int) -> Reference { UInt32(blocks.count - 1) << TextHeap.blockShift | UInt32(unit) }
  private static func units(_ bytes: Int) -> Int { (1 + bytes + unitBytes - 1) / unitBytes }
  private static func byte(_ reference: Reference) -> Int { (Int(reference) & (blockUnits - 1)) * unitBytes }
}
