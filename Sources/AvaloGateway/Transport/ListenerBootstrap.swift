import NIOCore
import NIOPosix

/// Makes NIO accept on a listening socket that this process was started with.
enum ListenerBootstrap {
  /// Takes over `descriptor`, which is bound and listening already. Every connection meets a `Sniffer`; with `tls`,
  /// behind a handshake with the context in force at that moment, so that a renewed certificate serves
  /// the next connection.
  static func listen(
    inherited descriptor: NIOBSDSocket.Handle, on group: any EventLoopGroup, door: FrontDoor,
    tls: TLSContext? = nil
  ) async throws -> any Channel {
    let buffers = TransportLimits.readBufferBytes
    return try await ServerBootstrap(group: group)
      .serverChannelOption(.maxMessagesPerRead, value: TransportLimits.acceptsPerTurn)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)  // .socketOption would set SO_DEBUG
      .childChannelOption(
        .recvAllocator,
        value: AdaptiveRecvByteBufferAllocator(
          minimum: buffers.minimum, initial: buffers.initial, maximum: buffers.maximum)
      )
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let tls { try channel.pipeline.syncOperations.addHandler(tls.makeHandler()) }
          try channel.pipeline.syncOperations.addHandler(Sniffer(door, isPlain: tls == nil))
        }
      }
      .withBoundSocket(descriptor).get()
  }
}
