/// Many short runs of bytes in one piece of memory: the frames of 19 900 clients without 19 900 allocations.
struct PackedBytes {
  private var bytes: [UInt8] = []
  private var ends: [Int] = []

  var count: Int { ends.count }

  mutating func append(_ run: some Collection<UInt8>) {
    bytes.append(contentsOf: run)
    ends.append(bytes.count)
  }

  func withBytes<Result>(of index: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    let start = index == 0 ? 0 : ends[index - 1]
    return bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start..<ends[index]])) }
  }
}
