import NIOCore

/// What a channel becomes when its handshake is over. On the channel's event loop.
protocol WebSocketEnd: ChannelInboundHandler {
  /// This channel, of those that were made for the server's addresses, has reached it: the others end unused.
  func connected(_ channel: any Channel)
  /// The pipeline is whole: frames can be written.
  func begin()
  /// The handshake failed, and this never was in the pipeline.
  func neverOpened(_ error: ClientError)
}
