import AvaloWire
import Logging
import NIOCore

/// What the owner of links is told. All calls come on the link's event loop.
public protocol LinkDelegate: AnyObject {
  /// The hand-shake is done: on the connecting side with the ``Welcome`` received, on the accepting side with `nil`,
  /// after ours was sent.
  func linkOpened(_ link: Link, welcome: Welcome?)
  /// One or more whole frames, contiguous, exactly as they were sent. ``Link/walk(_:_:)`` goes through them. The buffer
  /// may be kept; keeping a slice keeps the whole read.
  func link(_ link: Link, received frames: ByteBuffer)
  /// The backlog fell below the low-water mark after it had been above the high-water mark.
  func linkDrained(_ link: Link)
  /// An opened link ended, once; nothing comes of it any more.
  func linkClosed(_ link: Link, reason: String)
}

/// A connection between two of our processes that carries frames. Belongs to one event loop: everything here is called
/// there. Made by ``LinkServer`` and ``LinkClient``.
public final class Link {
  public let eventLoop: any EventLoop
  /// Who connected; `nil` on the connecting side.
  public internal(set) var peer: Hello?
  /// For log lines: the peer's slot, or the name of what we connect to.
  public internal(set) var name: String
  /// The owner's own state of this link.
  public var attachment: AnyObject?
  /// Bytes that were sent here and are not in the kernel yet.
  public var backlogBytes: Int { pending.readableBytes + writingBytes }
  public private(set) var isClosed = false

  let log: Logger
  private let channel: any Channel
  private let bounds: LinkBounds
  private let counters: LinkCounters?
  /// This turn's frames, and all later ones while a write is not done.
  private var pending = ByteBuffer()
  /// The last written buffer, for its storage.
  private var spare = ByteBuffer()
  private var writingBytes = 0
  private var flushScheduled = false
  private var aboveHighWater = false
  private(set) var closeReason: String?
  private var afterWrite: (() -> Void)?
  /// Set by who made the link.
  var onDrained: ((Link) -> Void)?

  init(channel: any Channel, name: String, bounds: LinkBounds, counters: LinkCounters?, log: Logger) {
    self.channel = channel
    eventLoop = channel.eventLoop
    self.name = name
    self.bounds = bounds
    self.counters = counters
    self.log = log
  }

  // MARK: Sending

  /// Sends whole frames. All sends of one turn of the loop leave in one write; on a closed link they are dropped.
  public func send(_ frames: [UInt8]) {
    guard admit(frames.count) else { return }
    pending.writeBytes(frames)
    scheduleFlush()
  }
  /// Sends whole frames.
  public func send(_ frames: ByteBuffer) {
    guard admit(frames.readableBytes) else { return }
    pending.writeImmutableBuffer(frames)
    scheduleFlush()
  }
  /// Sends whole frames where they lie.
  public func send(_ frames: UnsafeRawBufferPointer) {
    guard admit(frames.count) else { return }
    pending.writeBytes(frames)
    scheduleFlush()
  }
  /// Sends one message.
  public func send(_ message: some WireMessage, correlation: UInt32 = 0) {
    var writer = WireWriter()
    writer.frame(message, correlation: correlation)
    send(writer.bytes)
  }

  /// Goes through frames as they were received, in order. A throw of `each` means that the peer broke the wire: it closes
  /// the link with a log line that names the kind, and ends the walk. So does closing the link within `each`.
  public func walk(
    _ frames: ByteBuffer, _ each: (Frame.Head, UnsafeRawBufferPointer) throws -> Void
  ) {
    frames.withUnsafeReadableBytes { bytes in
      var rest = bytes
      while !isClosed {
        guard let head = try? Frame.head(of: rest), rest.count >= Frame.headBytes + head.bodyBytes else { return }
        let end = Frame.headBytes + head.bodyBytes
        do {
          try each(head, UnsafeRawBufferPointer(rebasing: rest[Frame.headBytes..<end]))
        } catch {
          return close(reason: "frame of kind 0x\(String(head.kind.rawValue, radix: 16)): \(error)", level: .error)
        }
        rest = UnsafeRawBufferPointer(rebasing: rest[end...])
      }
    }
  }

  /// Writes what is pending as far as the kernel takes it, then closes. The delegate is told later, once.
  public func close(reason: String) { close(reason: reason, level: .debug) }

  func close(reason: String, level: Logger.Level) {
    eventLoop.preconditionInEventLoop()
    guard !isClosed else { return }
    flush()
    isClosed = true
    closeReason = reason
    log.log(level: level, "link closed by us", metadata: ["link": "\(name)", "reason": "\(reason)"])
    channel.close(promise: nil)
  }

  /// Sends a last frame and closes when it is written.
  func refuse(_ failed: Failed, reason: String) {
    guard !isClosed else { return }
    send(failed)
    flush()
    isClosed = true
    closeReason = reason
    log.warning("link refused", metadata: ["link": "\(name)", "reason": "\(reason)"])
    let channel = self.channel
    guard writingBytes > 0 else { return channel.close(promise: nil) }
    // A peer that reads nothing is cut by the hand-shake's time limit.
    afterWrite = { channel.close(promise: nil) }
  }

  /// Ends a connection that is closing already.
  func cut() { channel.close(promise: nil) }

  /// The connection is gone.
  func ended() {
    isClosed = true
    counters?.addBacklog(-backlogBytes)
    writingBytes = 0
    pending = ByteBuffer()
    spare = ByteBuffer()
    afterWrite = nil
  }

  // MARK: Writing

  private func admit(_ count: Int) -> Bool {
    eventLoop.preconditionInEventLoop()
    guard !isClosed, count > 0 else { return false }
    guard backlogBytes + count <= bounds.backlogBytesMax else {
      close(reason: "\(backlogBytes) bytes wait for the peer", level: .error)
      return false
    }
    counters?.addBacklog(count)
    return true
  }

  private func scheduleFlush() {
    if backlogBytes > bounds.highWaterBytes { aboveHighWater = true }
    // While a write is not done, what comes waits for its end: the next write takes it all.
    guard !flushScheduled, writingBytes == 0 else { return }
    flushScheduled = true
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    // Runs behind everything of this turn.
    eventLoop.execute {
      bound.value.flushScheduled = false
      bound.value.flush()
    }
  }

  private func flush() {
    guard !isClosed, writingBytes == 0, pending.readableBytes > 0 else { return }
    let buffer = pending
    pending = ByteBuffer()
    swap(&pending, &spare)
    pending.clear()
    writingBytes = buffer.readableBytes
    let bound = NIOLoopBound((self, buffer), eventLoop: eventLoop)
    channel.writeAndFlush(buffer).whenComplete { result in
      let (link, buffer) = bound.value
      // A failure is followed by the end of the connection.
      if case .success = result { link.written(buffer) }
    }
  }

  private func written(_ buffer: ByteBuffer) {
    counters?.countSent(bytes: writingBytes)
    counters?.addBacklog(-writingBytes)
    writingBytes = 0
    if let afterWrite {
      self.afterWrite = nil
      return afterWrite()
    }
    guard !isClosed else { return }
    if buffer.capacity <= LinkLimits.spareBytesMax { spare = buffer }
    flush()
    guard aboveHighWater, backlogBytes < bounds.lowWaterBytes else { return }
    aboveHighWater = false
    onDrained?(self)
  }
}
