import AvaloCore
import NIOCore
import NIOPosix

/// Carries a connection over one WebSocket, by SwiftNIO.
public struct WebSocketTransport: RealtimeTransport {
  public let name = "websocket"
  public let isDuplex = true
  private let group: any EventLoopGroup
  private let security: TransportSecurity

  /// On a loop of the group for each connection.
  public init(
    security: TransportSecurity = TransportSecurity(),
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
  ) {
    self.security = security
    self.group = group
  }

  public func open(
    _ opening: TransportOpening, _ tell: @escaping @Sendable (TransportEvent) -> Void
  ) -> any TransportLink {
    let link = ChannelLink(tell)
    connect(opening.endpoint) { channel in
      let handler = WebSocketLinkHandler(greeting: .connect(opening.request), link: link, channel: channel)
      link.attach(handler, channel)
      return handler
    }.whenFailure { error in
      link.ended(TransportEnding(text: "cannot connect to \(opening.endpoint): \(describe(error))"))
    }
    return link
  }

  public func passes(_ opening: TransportOpening) async -> Bool {
    let passed = group.next().makePromise(of: Bool.self)
    connect(opening.endpoint) { _ in WebSocketProbe(passed) }.whenFailure { _ in passed.succeed(false) }
    // The promise is never failed.
    return (try? await passed.futureResult.get()) ?? false
  }

  private func connect(
    _ endpoint: Endpoint, _ makeEnd: @escaping @Sendable (any Channel) -> any WebSocketEnd
  ) -> EventLoopFuture<any Channel> {
    let nonce = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
    let bootstrap = ClientBootstrap(group: group)
      .connectTimeout(.milliseconds(Int64(ClientLimits.connectTimeoutMilliseconds)))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { [security] channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try security.addHandler(to: pipeline, for: endpoint)
          try pipeline.addHandler(
            HandshakeHandler(authority: endpoint.authority, target: "/ws", nonce: nonce, end: makeEnd(channel)))
        }
      }
    return bootstrap.connect(to: endpoint)
  }
}
