import Glibc
import NIOCore
import Synchronization

/// The first handler of a listener: turns away what there is no room for, at once and before it costs anything.
///
/// A connection beyond the bound is answered 503 (plain ones; a TLS handshake is not begun) and closed. When the process
/// is out of descriptors all the same, the reserve is given up for a moment to take a connection and close it, so that its
/// client comes back elsewhere instead of waiting in the backlog, and the listener does not spin on what it cannot accept.
final class AcceptGate: ChannelDuplexHandler {
  typealias InboundIn = any Channel
  typealias InboundOut = any Channel
  typealias OutboundIn = Never

  private let door: FrontDoor
  private let isPlain: Bool
  private let listener: NIOBSDSocket.Handle
  private var reserve = Reserve()
  private var isPaused = false
  private var wantsRead = false

  init(_ door: FrontDoor, isPlain: Bool, listener: NIOBSDSocket.Handle) {
    self.door = door
    self.isPlain = isPlain
    self.listener = listener
  }

  // MARK: Accepting

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let accepted = unwrapInboundIn(data)
    guard door.hasRoom else { return turnAway(accepted) }
    let open = door.open
    open.add(1)
    accepted.closeFuture.whenComplete { _ in open.add(-1) }
    context.fireChannelRead(data)
  }

  /// Nobody has begun to use it: not even its loop knows it.
  private func turnAway(_ channel: any Channel) {
    door.observe(.overloaded)
    let isPlain = isPlain
    channel.eventLoop.execute {
      if isPlain {
        // Fails only when the peer is gone.
        try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
          AcceptGate.sayNoRoom($0)
        }
      }
      channel.close(promise: nil)
    }
  }

  private static func sayNoRoom(_ descriptor: Int32) {
    let bytes = PlainResponse.noRoom.bytes
    // A fresh socket's buffer is empty.
    _ = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL)) }
  }

  // MARK: Out of descriptors

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch (error as? IOError)?.errnoCode {
    case EMFILE, ENFILE: if !shedBacklog() { pause(context) }
    // The kernel has no memory at the moment.
    case ENOBUFS, ENOMEM: pause(context)
    default: context.fireErrorCaught(error)
    }
  }

  /// Takes and closes what waits. False when it has no descriptor to do that with.
  private func shedBacklog() -> Bool {
    for _ in 0..<TransportLimits.shedPerTurn {
      guard reserve.giveUp() else { return false }
      let accepted = accept(listener, nil, nil)
      if accepted >= 0 {
        door.observe(.overloaded)
        if isPlain { AcceptGate.sayNoRoom(accepted) }
        Glibc.close(accepted)
      }
      guard reserve.take() else { return false }
      if accepted < 0 { break }
    }
    return true
  }

  /// Accepts nothing for a while.
  private func pause(_ context: ChannelHandlerContext) {
    guard !isPaused else { return }
    isPaused = true
    context.eventLoop.assumeIsolated().scheduleTask(in: TransportLimits.acceptPause) {
      self.isPaused = false
      _ = self.reserve.take()
      guard self.wantsRead else { return }
      self.wantsRead = false
      context.read()
    }
  }

  func read(context: ChannelHandlerContext) {
    if isPaused { wantsRead = true } else { context.read() }
  }
}

/// A descriptor that is kept so that there is one to be had.
private struct Reserve: ~Copyable {
  private var descriptor: Int32 = -1

  init() { _ = take() }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  mutating func take() -> Bool {
    if descriptor < 0 { descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC) }
    return descriptor >= 0
  }

  mutating func giveUp() -> Bool {
    guard descriptor >= 0 else { return false }
    close(descriptor)
    descriptor = -1
    return true
  }
}

/// How many of something there are, over all loops.
final class OpenCount: Sendable {
  private let number = Atomic(0)

  var value: Int { number.load(ordering: .relaxed) }
  func add(_ more: Int) { number.add(more, ordering: .relaxed) }
}
