import AvaloCore
import AvaloWire

// What the links bring: whole frames, whose bodies nobody has looked at yet.
extension Hub {
  /// Hands over frame by frame, in their order. The link checked each from outside; a body that does not parse is from a peer of
  /// another make: it ends the link, and what came behind it is not looked at.
  func takeFrames(
    _ frames: UnsafeRawBufferPointer, from worker: StaticString, break breakLink: (String) -> Void,
    _ take: (Frame.Head, UnsafeRawBufferPointer) throws(WireError) -> Void
  ) {
    var rest = frames
    while !rest.isEmpty {
      guard let head = try? Frame.head(of: rest), rest.count >= Frame.headBytes + head.bodyBytes else {
        preconditionFailure("the link hands over whole frames")
      }
      let end = Frame.headBytes + head.bodyBytes
      let body = UnsafeRawBufferPointer(rebasing: rest[Frame.headBytes..<end])
      rest = UnsafeRawBufferPointer(rebasing: rest[end...])
      do throws(WireError) {
        try take(head, body)
      } catch {
        log.error(
          "a worker's frame does not parse",
          metadata: ["worker": "\(worker)", "kind": "\(head.kind.rawValue)", "error": "\(error)"])
        metrics.brokenFrames.add(1)
        return breakLink("frame \(head.kind.rawValue): \(error)")
      }
    }
  }
}
