/// Values by place, in blocks that never move: growing copies nothing and leaves no hole in the heap behind, which with a
/// value for each of many thousand users is as much memory as the values themselves. A place that was freed is the next
/// to be taken.
struct Slab<Element> {
  private static var blockSize: Int { 256 }
  private var blocks: [[Element?]] = []
  private var free: [Int32] = []
  /// Places that were ever taken: all lie below it.
  private(set) var end: Int32 = 0

  /// What is at a place that is taken.
  subscript(place: Int32) -> Element {
    _read { yield blocks[Int(place) / Slab.blockSize][Int(place) % Slab.blockSize]! }
    _modify { yield &blocks[Int(place) / Slab.blockSize][Int(place) % Slab.blockSize]! }
  }

  /// Whether a place is taken.
  func holds(_ place: Int32) -> Bool {
    place < end && blocks[Int(place) / Slab.blockSize][Int(place) % Slab.blockSize] != nil
  }

  /// The places that are taken, in order.
  var places: some Sequence<Int32> { (0..<end).lazy.filter { holds($0) } }

  mutating func add(_ element: Element) -> Int32 {
    if let place = free.popLast() {
      blocks[Int(place) / Slab.blockSize][Int(place) % Slab.blockSize] = element
      return place
    }
    if Int(end) == blocks.count * Slab.blockSize {
      blocks.append([])
      blocks[blocks.count - 1].reserveCapacity(Slab.blockSize)
    }
    blocks[blocks.count - 1].append(element)
    end += 1
    return end - 1
  }

  /// Frees a place; answers what was there.
  mutating func remove(_ place: Int32) -> Element {
    let element = self[place]
    blocks[Int(place) / Slab.blockSize][Int(place) % Slab.blockSize] = nil
    free.append(place)
    return element
  }
}
