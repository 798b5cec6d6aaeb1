/// A row of a ``Slab``.
protocol SlabRow {
  /// A place that holds nothing.
  static var free: Self { get }
  var isFree: Bool { get }
}

/// Rows of one kind, found by their index, in blocks: growing moves nothing and leaves no outgrown copies behind, and
/// there is no object a row. A row that was taken out leaves its place to the next one. Owned by the board.
struct Slab<Row: SlabRow> {
  /// An index that no row has.
  static var none: UInt32 { .max }

  private static var blockShift: UInt32 { 9 }
  private static var blockRows: Int { 1 << Int(blockShift) }
  private var blocks = ContiguousArray<ContiguousArray<Row>>()
  private var used: UInt32 = 0
  private var freed = ContiguousArray<UInt32>()
  private(set) var count = 0

  /// Indices below this one are rows or free places.
  var end: UInt32 { used }

  subscript(index: UInt32) -> Row {
    _read { yield blocks[Int(index >> Self.blockShift)][Int(index) & (Self.blockRows - 1)] }
    _modify { yield &blocks[Int(index >> Self.blockShift)][Int(index) & (Self.blockRows - 1)] }
  }

  mutating func insert(_ row: Row) -> UInt32 {
    precondition(!row.isFree, "a free row is no row")
    count += 1
    if let index = freed.popLast() {
      self[index] = row
      return index
    }
    precondition(used < Self.none, "a slab of \(used) rows is full")
    if Int(used) == blocks.count << Int(Self.blockShift) {
      blocks.append(ContiguousArray(repeating: Row.free, count: Self.blockRows))
    }
    used += 1
    self[used - 1] = row
    return used - 1
  }

  mutating func remove(_ index: UInt32) {
    precondition(!self[index].isFree, "row \(index) was taken out twice")
    self[index] = .free
    freed.append(index)
    count -= 1
  }

  /// The indices of all rows, lowest first.
  var indices: some Sequence<UInt32> { (0..<used).lazy.filter { !self[$0].isFree } }
}
