import CAvalo
import Glibc

/// One publishing connection: what is to be written, and what waits for its answer in order. Owned by the pool.
final class PublishConnection {
  struct Asked {
    var user: Int
    var due: Nanoseconds
  }

  var descriptor: Int32 = -1
  var awaitsRoom = false
  var held = HeldBytes()
  private let depth: Int
  private let requestBytes: Int
  private let out: UnsafeMutableRawPointer
  private var outStart = 0
  private var outEnd = 0
  /// A ring of `depth` places.
  private var asked: [Asked]
  private var first = 0
  private(set) var waiting = 0

  init(depth: Int, requestBytes: Int) {
    self.depth = depth
    self.requestBytes = requestBytes
    // Room for every request that may be on the way, none of it written.
    out = .allocate(byteCount: depth * requestBytes, alignment: 16)
    asked = Array(repeating: Asked(user: 0, due: 0), count: depth)
  }

  deinit {
    held.release()
    out.deallocate()
  }

  var isOpen: Bool { descriptor >= 0 }
  var hasUnsent: Bool { outEnd > outStart }

  /// Adds a request of `requestBytes`, written by `write`.
  func append(user: Int, due: Nanoseconds, _ write: (UnsafeMutableRawPointer) -> Void) {
    precondition(waiting < depth)
    if outEnd + requestBytes > depth * requestBytes {
      memmove(out, out + outStart, outEnd - outStart)
      outEnd -= outStart
      outStart = 0
    }
    write(out + outEnd)
    outEnd += requestBytes
    asked[(first + waiting) % depth] = Asked(user: user, due: due)
    waiting += 1
  }

  func popFirst() -> Asked {
    let next = asked[first]
    first = (first + 1) % depth
    waiting -= 1
    return next
  }

  /// Writes what the socket takes. Answers why the connection ended, when it did.
  func flush() -> String? {
    guard hasUnsent, isOpen else { return nil }
    let sent = send(descriptor, out + outStart, outEnd - outStart, Int32(MSG_NOSIGNAL))
    // A connect that is still on its way answers EAGAIN too.
    guard sent >= 0 else { return errno == EAGAIN ? nil : SocketError("send", errno).description }
    outStart += sent
    if outStart == outEnd { (outStart, outEnd) = (0, 0) }
    return nil
  }

  /// Forgets everything of the connection that ended.
  func close() {
    if descriptor >= 0 { Socket.cut(descriptor) }
    descriptor = -1
    held.release()
    (outStart, outEnd, first, waiting) = (0, 0, 0, 0)
  }
}
