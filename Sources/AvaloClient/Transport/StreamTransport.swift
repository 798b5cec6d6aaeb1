import AvaloCore
import NIOCore
import NIOHTTP1
import NIOPosix

/// Carries a connection over a stream of server-sent events, which passes where WebSockets do not: a streamed call of
/// `subscribeToRealtimeEventsV1`. The positions it begins with acknowledge what came before them.
public struct StreamTransport: RealtimeTransport {
  public let name = "sse"
  public let isDuplex = false
  public let isPolled = false
  private let security: TransportSecurity
  private let group: any EventLoopGroup
  static let eventStream = "text/event-stream"

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
    guard case .token(let token) = opening.request.authentication else {
      link.ended(TransportEnding(text: "streams need a token"))
      return link
    }
    let endpoint = opening.endpoint
    let request = CallableClient.request(
      "subscribeToRealtimeEventsV1", opening.request.data, credential: token, accept: StreamTransport.eventStream)
    ClientBootstrap(group: group)
      .connectTimeout(.milliseconds(Int64(ClientLimits.connectTimeoutMilliseconds)))
      // Once for each address that is tried (RFC 8305 §5).
      .channelInitializer { [security] channel in
        link.trying(channel)
        return channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try security.addHandler(to: pipeline, for: endpoint)
          try pipeline.addHTTPClientHandlers()
          let handler = StreamHandler(request, authority: endpoint.authority, link: link, channel: channel)
          try pipeline.addHandler(handler)
        }
      }
      .connect(to: endpoint)
      .whenFailure { link.ended(TransportEnding(text: "cannot connect to \(endpoint): \(describe($0))")) }
    return link
  }

  /// Asks for a short answer as a stream. Something on the way that gathers answers is found out only by a long one.
  public func passes(_ opening: TransportOpening) async -> Bool {
    guard case .token(let token) = opening.request.authentication else { return false }
    let http = HTTPClient(opening.endpoint, security: security, group: group)
    let request = CallableClient.request(
      "getPresenceV1", .emptyObject, credential: token, accept: StreamTransport.eventStream)
    let reply = try? await http.send(request, timeout: .milliseconds(ClientLimits.connectTimeoutMilliseconds))
    await http.close()
    return reply?.isEventStream ?? false
  }
}

extension HTTPReply {
  /// Whether its body is one, whatever is said of its charset.
  var isEventStream: Bool {
    status == 200 && header("content-type")?.lowercased().hasPrefix(StreamTransport.eventStream) == true
  }
}
