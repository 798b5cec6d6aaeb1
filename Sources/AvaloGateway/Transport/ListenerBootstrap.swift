import Glibc
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
    let backlog = backlog(of: descriptor)
    let channel = try await ServerBootstrap(group: group)
      .serverChannelOption(.maxMessagesPerRead, value: TransportLimits.acceptsPerTurn)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            AcceptGate(door, isPlain: tls == nil, listener: descriptor))
        }
      }
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)  // .socketOption would set SO_DEBUG
      .childChannelOption(
        .recvAllocator,
        value: AdaptiveRecvByteBufferAllocator(
          minimum: buffers.minimum, initial: buffers.initial, maximum: buffers.maximum)
      )
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let peer = PeerAddress()
          if let proxies = door.headersOf() {
            try channel.pipeline.syncOperations.addHandler(ProxyHeaderHandler(proxies, peer))
          }
          if let tls { try channel.pipeline.syncOperations.addHandler(tls.makeHandler()) }
          try channel.pipeline.syncOperations.addHandler(Sniffer(door, isPlain: tls == nil, peer))
        }
      }
      .withBoundSocket(descriptor).get()
    // NIO has just listened anew with a backlog of its own (128), before it looked at any option: a reconnect storm would
    // wait in SYN retries of a second and more. Whoever bound the socket said how many may wait.
    if let backlog {
      guard Glibc.listen(descriptor, backlog) == 0 else { throw IOError(errnoCode: errno, reason: "listen") }
    }
    return channel
  }

  /// How many connections may wait to be accepted: of a listener the kernel tells it in the place of `tcpi_sacked`. `nil`
  /// for a socket that is not TCP's.
  static func backlog(of descriptor: NIOBSDSocket.Handle) -> Int32? {
    var facts = tcp_info()
    var size = socklen_t(MemoryLayout<tcp_info>.size)
    guard getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &facts, &size) == 0 else { return nil }
    return Int32(facts.tcpi_sacked)
  }
}
