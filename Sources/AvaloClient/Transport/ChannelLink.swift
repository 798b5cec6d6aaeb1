import NIOCore
import Synchronization

/// The live end of a link, on its channel's event loop.
protocol LinkEnd: AnyObject {
  func send(_ frame: ClientFrame)
  /// Says what is left to be said, and ends the channel.
  func close()
}

/// The client's hold on one connection of its own, from the moment it is asked for. Used from any thread; what is to
/// happen on the channel is done by the link's end, on its event loop.
final class ChannelLink: TransportLink {
  private let tell: @Sendable (TransportEvent) -> Void
  private let state = Mutex(State())

  private struct State {
    /// While there is a channel that has reached the server and is not closed.
    var end: NIOLoopBound<any LinkEnd>?
    var channel: (any Channel)?
    /// One for each of the server's addresses that is tried.
    var channels: [any Channel] = []
    var isOver = false
  }

  init(_ tell: @escaping @Sendable (TransportEvent) -> Void) { self.tell = tell }

  /// One of the server's addresses is tried.
  func trying(_ channel: any Channel) {
    let isOver = state.withLock {
      $0.channels.append(channel)
      return $0.isOver
    }
    // Not before it is registered.
    if isOver { channel.eventLoop.execute { channel.close(promise: nil) } }
  }

  /// One of the channels has reached the server. On its event loop.
  func attach(_ end: any LinkEnd, _ channel: any Channel) {
    let bound = NIOLoopBound(end, eventLoop: channel.eventLoop)
    let isOver = state.withLock {
      $0.end = bound
      $0.channel = channel
      return $0.isOver
    }
    // The end knows the link, too.
    channel.closeFuture.whenComplete { _ in self.state.withLock { $0.end = nil } }
    // Nobody wants it any more.
    if isOver { perform { $0.close() } }
  }

  func told(_ event: TransportEvent) {
    if state.withLock({ !$0.isOver }) { tell(event) }
  }

  func ended(_ ending: TransportEnding) {
    if end() { tell(.closed(ending)) }
  }

  func send(_ frame: ClientFrame) { perform { $0.send(frame) } }

  func setReading(_ isReading: Bool) {
    // One that has closed meanwhile has nothing to read.
    state.withLock { $0.channel }?.setOption(.autoRead, value: isReading).whenFailure { _ in }
  }

  func close() {
    guard end() else { return }
    let (isConnected, channels) = state.withLock { ($0.end != nil, $0.channels) }
    if isConnected { return perform { $0.close() } }
    for channel in channels { channel.close(promise: nil) }
  }

  func waitUntilClosed() async {
    // They are never failed.
    for channel in state.withLock({ $0.channels }) { try? await channel.closeFuture.get() }
  }

  /// Whether it had not ended before.
  private func end() -> Bool {
    state.withLock { state in
      defer { state.isOver = true }
      return !state.isOver
    }
  }

  private func perform(_ body: @escaping @Sendable (any LinkEnd) -> Void) {
    guard let end = state.withLock({ $0.end }) else { return }
    end.eventLoop.execute { body(end.value) }
  }
}
