import AvaloWire
import NIOCore

/// Cuts what arrives into runs of whole frames. Pure: no I/O.
///
/// A run is a slice of what was read, not a copy; only a frame that straddles two reads is put together in a buffer of
/// its own. Frames of the link itself (hello, welcome, probe, probed) are taken out of the runs. A class, because its
/// bound changes while it gives out pieces: with the hello.
final class FrameAccumulator {
  /// The first part of a frame whose rest has not arrived.
  private var tail = ByteBuffer()
  /// Bodies beyond this are refused; smaller while shaking hands.
  var bodyBytesMax = WireLimits.frameBodyBytesMax

  enum Piece {
    /// One or more whole frames.
    case run(ByteBuffer)
    /// One frame of the link's own.
    case own(Frame.Head, body: ByteBuffer)
  }

  /// Calls `take` with each piece, in order, until it answers `false`: then the rest is dropped.
  /// Throws at a head that breaks the wire; what came before it has been given out.
  func receive(_ arrived: ByteBuffer, _ take: (Piece) -> Bool) throws(WireError) {
    var arrived = arrived
    while tail.readableBytes > 0 {
      guard let frame = try complete(from: &arrived) else { return }
      var whole = frame
      guard try cut(&whole, take) else { return }
    }
    guard try cut(&arrived, take) else { return }
    // Copied: keeping a slice would keep the whole read's buffer.
    if arrived.readableBytes > 0 { tail.writeBuffer(&arrived) }
  }

  /// Moves bytes from `arrived` to the tail up to the end of its frame; `nil` when they do not suffice.
  private func complete(from arrived: inout ByteBuffer) throws(WireError) -> ByteBuffer? {
    move(Frame.headBytes - tail.readableBytes, from: &arrived)
    guard let head = try head(of: tail) else { return nil }
    let total = Frame.headBytes + head.bodyBytes
    move(total - tail.readableBytes, from: &arrived)
    guard tail.readableBytes == total else { return nil }
    defer { tail = ByteBuffer() }
    return tail
  }

  private func move(_ count: Int, from arrived: inout ByteBuffer) {
    guard count > 0, var part = arrived.readSlice(length: min(count, arrived.readableBytes)) else { return }
    tail.writeBuffer(&part)
  }

  /// Gives out all whole frames at the start of `buffer`; `false` when `take` wants no more.
  private func cut(_ buffer: inout ByteBuffer, _ take: (Piece) -> Bool) throws(WireError) -> Bool {
    while true {
      var run = 0
      var own: Frame.Head?
      var broken: WireError?
      buffer.withUnsafeReadableBytes { bytes in
        do throws(WireError) {
          while let head = try self.head(of: UnsafeRawBufferPointer(rebasing: bytes[run...])) {
            let end = run + Frame.headBytes + head.bodyBytes
            guard end <= bytes.count else { return }
            if head.kind.isOwn {
              own = head
              return
            }
            run = end
          }
        } catch {
          broken = error
        }
      }
      if run > 0, let slice = buffer.readSlice(length: run), !take(.run(slice)) { return false }
      if let broken { throw broken }
      guard let head = own else { return true }
      buffer.moveReaderIndex(forwardBy: Frame.headBytes)
      guard let body = buffer.readSlice(length: head.bodyBytes), take(.own(head, body: body)) else { return false }
    }
  }

  private func head(of buffer: ByteBuffer) throws(WireError) -> Frame.Head? {
    // A typed throw cannot leave the buffer's closure.
    let result = buffer.withUnsafeReadableBytes { bytes -> Result<Frame.Head?, WireError> in
      do throws(WireError) { return .success(try self.head(of: bytes)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  private func head(of bytes: UnsafeRawBufferPointer) throws(WireError) -> Frame.Head? {
    guard let head = try Frame.head(of: bytes) else { return nil }
    guard head.bodyBytes <= bodyBytesMax else { throw .frameTooLarge(head.bodyBytes) }
    return head
  }
}

extension FrameKind {
  /// Whether the link itself answers it, and its owner never sees it.
  var isOwn: Bool {
    switch self {
    case .hello, .welcome, .probe, .probed: true
    default: false
    }
  }
}
