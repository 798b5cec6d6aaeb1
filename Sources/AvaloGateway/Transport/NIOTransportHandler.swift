import AvaloReactor
import NIOCore

/// The last handler of a connection that stays on NIO: brings its bytes to the loop's `NIOTransport`, and writes
/// what that gives it. Lives as long as its channel.
final class NIOTransportHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let transport: NIOTransport
  private var context: ChannelHandlerContext?
  /// Its place in the transport's slab, from adoption to the connection's end.
  var connection: ConnectionID?

  init(_ transport: NIOTransport) {
    self.transport = transport
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    if let connection { transport.ended(connection) }
    self.context = nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let connection else { return }  // over, and not yet gone
    unwrapInboundIn(data).withUnsafeReadableBytes { transport.received(connection, $0) }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event as? ChannelEvent == .inputClosed {
      if let connection { transport.peerFinished(connection) }
    } else {
      context.fireUserInboundEventTriggered(event)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    if let connection { transport.ended(connection) }
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A reset, or TLS without its close_notify: the stream is over; what to do about it, the end of input tells.
    if let connection, !context.channel.isActive { transport.ended(connection) }
  }

  // MARK: For the transport

  /// Tells the channel that a peer which only stopped sending is still to be written to.
  func allowHalfClosure() throws {
    try setHalfClosure(true)
  }

  func write(_ buffer: ByteBuffer, _ promise: EventLoopPromise<Void>) {
    guard let context else { return promise.fail(ChannelError.ioOnClosedChannel) }
    context.writeAndFlush(wrapOutboundOut(buffer), promise: promise)
  }

  func shutWriting() {
    context?.close(mode: .output, promise: nil)
  }

  func cut() {
    connection = nil
    // A closing NIOSSLHandler takes the peer's close_notify for its end only without half-closure; with it, it would
    // hold the connection until its timeout. Fails when the channel is closed, and then it does not matter.
    try? setHalfClosure(false)
    context?.close(promise: nil)
  }

  private func setHalfClosure(_ isAllowed: Bool) throws {
    try context?.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: isAllowed)
  }
}
