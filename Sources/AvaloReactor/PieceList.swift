import Glibc

/// The pieces queued on one connection in one turn, when they do not lie side by side. In the arena: head, then `iovec`s.
struct PieceList {
  var count: Int
  var capacity: Int

  static func bytes(capacity: Int) -> Int {
    MemoryLayout<PieceList>.stride + capacity * MemoryLayout<iovec>.stride
  }

  static func pieces(of list: UnsafeMutableRawPointer) -> UnsafeMutablePointer<iovec> {
    (list + MemoryLayout<PieceList>.stride).assumingMemoryBound(to: iovec.self)
  }
}
