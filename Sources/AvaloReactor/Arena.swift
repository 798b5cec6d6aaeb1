import Glibc

/// Memory that lives until the end of a turn: taken by moving a mark, given back all at once. Belongs to one loop.
struct Arena: ~Copyable {
  // Only the last chunk is taken from. Small ones are kept for the next turn in `spare`.
  private var chunks: [UnsafeMutableRawBufferPointer] = []
  private var spare: [UnsafeMutableRawBufferPointer] = []
  private var mark: UnsafeMutableRawPointer?
  private var end: UnsafeMutableRawPointer?

  init() {}

  deinit {
    for chunk in chunks { chunk.deallocate() }
    for chunk in spare { chunk.deallocate() }
  }

  /// Not aligned: consecutive allocations of bytes lie side by side, so that they can be sent as one piece.
  mutating func allocate(_ count: Int) -> UnsafeMutableRawPointer {
    if let start = mark, let end, start.distance(to: end) >= count {
      mark = start + count
      return start
    }
    return allocateInNewChunk(count)
  }

  /// Aligned to 16 bytes, for things that are more than bytes.
  mutating func allocateAligned(_ count: Int) -> UnsafeMutableRawPointer {
    allocate(count + 15).alignedUp(toMultipleOf: 16)
  }

  /// Grows the newest allocation, when it ends at the mark and the chunk has room.
  mutating func extend(_ start: UnsafeMutableRawPointer, from count: Int, by more: Int) -> Bool {
    guard let mark, let end, start + count == mark, mark.distance(to: end) >= more else { return false }
    self.mark = mark + more
    return true
  }

  /// Invalidates everything allocated since the last call.
  mutating func reset() {
    if chunks.count == 1, spare.isEmpty, chunks[0].count == Limits.arenaChunkBytes {
      mark = chunks[0].baseAddress
      return
    }
    for chunk in chunks {
      if chunk.count == Limits.arenaChunkBytes, spare.count < Limits.arenaChunksKept {
        spare.append(chunk)
      } else {
        chunk.deallocate()
      }
    }
    chunks.removeAll(keepingCapacity: true)
    mark = nil
    end = nil
  }

  private mutating func allocateInNewChunk(_ count: Int) -> UnsafeMutableRawPointer {
    let chunk: UnsafeMutableRawBufferPointer
    if count <= Limits.arenaChunkBytes, let kept = spare.popLast() {
      chunk = kept
    } else {
      chunk = .allocate(byteCount: max(count, Limits.arenaChunkBytes), alignment: 16)
    }
    chunks.append(chunk)
    let start = chunk.baseAddress!
    mark = start + count
    end = start + chunk.count
    return start
  }
}
