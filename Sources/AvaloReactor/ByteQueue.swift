import Glibc

/// Bytes that are added at one end and taken from the other. Holds no memory when empty. Belongs to one loop.
struct ByteQueue: ~Copyable {
  private var memory: UnsafeMutableRawPointer?
  private var head = 0
  private var capacity = 0
  private(set) var count = 0

  init() {}

  deinit {
    free(memory)
  }

  var isEmpty: Bool { count == 0 }

  /// Valid until the next change.
  var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: memory.map { UnsafeRawPointer($0 + head) }, count: count)
  }

  mutating func append(_ more: UnsafeRawBufferPointer) {
    guard let source = more.baseAddress, more.count > 0 else { return }
    let total = count + more.count
    if head > 0, head + total > capacity {
      memmove(memory!, memory! + head, count)
      head = 0
    }
    if total > capacity {
      capacity = max(256, total, capacity + capacity / 2)
      guard let grown = realloc(memory, capacity) else {
        preconditionFailure("out of memory for a buffer of \(capacity) bytes")
      }
      memory = grown
    }
    memcpy(memory! + head + count, source, more.count)
    count = total
  }

  /// Takes away the oldest bytes.
  mutating func removeFirst(_ taken: Int) {
    precondition(taken <= count, "took \(taken) of \(count) bytes")
    head += taken
    count -= taken
    if count == 0 { release() }
  }

  /// Takes away the newest bytes.
  mutating func truncate(to kept: Int) {
    precondition(kept <= count, "kept \(kept) of \(count) bytes")
    count = kept
    if count == 0 { release() }
  }

  private mutating func release() {
    free(memory)
    memory = nil
    head = 0
    capacity = 0
  }
}
