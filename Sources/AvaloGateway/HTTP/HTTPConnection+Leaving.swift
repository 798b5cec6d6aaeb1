import NIOCore

// How a connection leaves HTTP, in the turn of the request that it does so with.
extension HTTPConnection {

  /// What was answered before goes out; then the connection belongs to the stream.
  func leave(
    to start: StreamStart, _ due: HTTPExchange.Due, _ context: ChannelHandlerContext, _ now: Int64
  ) {
    guard !isLeaving else { return }
    isLeaving = true
    let answer = StreamAnswer(
      start.streams.face,
      HTTPAnswer.Frame(allowedOrigin: due.allowedOrigin, keepAlive: false, date: service.date.text(now)))
    // Not within a read: the handlers that are inside it leave the pipeline.
    context.eventLoop.assumeIsolated().execute {
      self.flush()
      guard let context = self.context, context.channel.isActive else { return }
      start.streams.take(context, start, answer)
      HTTPService.leave(context.channel)
    }
  }

  /// What was answered before goes out; then the connection is the front door's.
  func leave(to head: ByteBuffer, _ context: ChannelHandlerContext) {
    guard !isLeaving else { return }
    isLeaving = true
    lastProgress = context.eventLoop.now  // a client that does not read what is on its way has its usual time
    context.eventLoop.assumeIsolated().execute {
      self.flush()
      guard let context = self.context, context.channel.isActive else { return }
      // Behind all that is on its way: the socket is to be given away, and what NIO still has for it would be lost.
      context.writeAndFlush(HTTPConnection.wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { result in
        // Not within a read, or whatever else has made room for the last of it.
        context.eventLoop.assumeIsolated().execute { self.giveAway(head, result) }
      }
    }
  }

  private func giveAway(_ head: ByteBuffer, _ written: Result<Void, any Error>) {
    guard let context, context.channel.isActive, let handshake else { return }
    // Whoever says no more speaks no WebSocket.
    guard case .success = written, !inputClosed else { return context.close(promise: nil) }
    let channel = context.channel
    let wantsRead = readHeldBack
    handshake.take(channel, head)
    if wantsRead { channel.read() }
  }
}
