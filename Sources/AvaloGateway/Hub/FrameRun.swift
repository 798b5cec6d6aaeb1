import AvaloReactor

/// Frames one after the other in a writer's arena, so that several connections can be given the same bytes.
/// Valid until the end of the turn.
struct FrameRun {
  private let writer: ConnectionWriter
  private var start: UnsafeMutableRawPointer?
  private var count = 0
  private var capacity = 0

  init(writer: ConnectionWriter) { self.writer = writer }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

  mutating func append(_ payload: UnsafeRawBufferPointer) {
    reserve(payload.count + writer.framing.overheadBytes(payload.count))
    if let start { count += writer.framing.write(payload, at: start + count) }
  }

  private mutating func reserve(_ need: Int) {
    guard count + need > capacity else { return }
    if let start, writer.extend(start, from: capacity, by: need) {
      capacity += need
      return
    }
    let bigger = capacity * 2 + need
    let grown = writer.allocate(bigger)
    if let start { grown.copyMemory(from: start, byteCount: count) }
    start = grown
    capacity = bigger
  }
}
