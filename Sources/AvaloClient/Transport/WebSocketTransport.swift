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
      link.trying(channel)
      return WebSocketLinkHandler(greeting: .connect(opening.request), link: link, channel: channel)
    }.whenFailure { error in
      link.ended(TransportEnding(text: "cannot connect to \(opening.endpoint): \(describe(error))"))
    }
    return link
  }

  public func passes(_ opening: TransportOpening) async -> Bool {
    await passes(opening, within: .milliseconds(Int64(ClientLimits.connectTimeoutMilliseconds)))
  }

  /// What is swallowed on the way does not pass.
  func passes(_ opening: TransportOpening, within time: TimeAmount) async -> Bool {
    let loop = group.next()
    let passed = loop.makePromise(of: Bool.self)
    let connecting = connect(opening.endpoint) { _ in WebSocketProbe(passed) }
    connecting.whenFailure { _ in passed.succeed(false) }
    let deadline = loop.scheduleTask(in: time) { passed.succeed(false) }
    // The promise is never failed.
    let answer = (try? await passed.futureResult.get()) ?? false
    deadline.cancel()
    // Whatever the answer, and also when it is reached only now.
    connecting.whenSuccess { $0.close(promise: nil) }
    return answer
  }

  private func connect(
    _ endpoint: Endpoint, _ makeEnd: @escaping @Sendable (any Channel) -> any WebSocketEnd
  ) -> EventLoopFuture<any Channel> {
    ClientBootstrap(group: group)
      .connectTimeout(.milliseconds(Int64(ClientLimits.connectTimeoutMilliseconds)))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      // Once for each address that is tried (RFC 8305 §5).
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try addHandlers(to: channel, for: endpoint, makeEnd(channel)) }
      }
      .connect(to: endpoint)
  }

  func addHandlers(to channel: any Channel, for endpoint: Endpoint, _ end: any WebSocketEnd) throws {
    let pipeline = channel.pipeline.syncOperations
    let nonce = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
    try security.addHandler(to: pipeline, for: endpoint)
    try pipeline.addHandler(
      HandshakeHandler(authority: endpoint.authority, target: "/ws", nonce: nonce, end: end))
  }
}
