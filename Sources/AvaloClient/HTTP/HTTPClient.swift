import NIOCore
import NIOHTTP1
import NIOPosix

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Asks one server over one kept-alive connection, made when it is needed and made anew when it has ended.
///
/// Requests that are asked at the same time share the connection and are answered in order. A request that got no
/// answer is never repeated: only who asked knows whether that is safe.
public actor HTTPClient {
  /// The one server it asks.
  public nonisolated let endpoint: Endpoint
  private let group: any EventLoopGroup
  private let security: TransportSecurity
  private var connecting: Task<any Channel, any Error>?

  /// Does nothing yet.
  public init(
    _ endpoint: Endpoint, security: TransportSecurity = TransportSecurity(),
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
  ) {
    self.endpoint = endpoint
    self.security = security
    self.group = group
  }

  /// Throws ``ClientError`` `unreachable`, `timedOut` or `broken`; any status is an answer.
  public func send(_ request: HTTPRequest, timeout: Duration = .milliseconds(ClientLimits.answerTimeoutMilliseconds))
    async throws -> HTTPReply
  {
    try await send(request, on: connection(), timeout: timeout)
  }

  /// Over a connection that may have ended meanwhile.
  nonisolated func send(_ request: HTTPRequest, on channel: any Channel, timeout: Duration) async throws -> HTTPReply {
    let reply = channel.eventLoop.makePromise(of: HTTPReply.self)
    let exchange = HTTPExchange(request: request, authority: endpoint.authority, reply: reply)
    let deadline = channel.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
      let error = ClientError.timedOut("\(self.endpoint) did not answer \(request.target) within \(timeout)")
      do {
        let context = try channel.pipeline.syncOperations.context(handlerType: HTTPExchangeHandler.self)
        try channel.pipeline.syncOperations.handler(type: HTTPExchangeHandler.self).timeOut(context, error)
      } catch {
        // The pipeline is gone with its channel, and whoever waited was told so; to tell it twice does no harm.
        reply.fail(error)
      }
    }
    let taken = channel.eventLoop.makePromise(of: Void.self)
    // The handler was gone with the connection, and nobody else tells who waits.
    taken.futureResult.whenFailure { error in
      reply.fail(ClientError.unreachable("the connection ended before the request: \(describe(error))"))
    }
    channel.writeAndFlush(exchange, promise: taken)
    defer { deadline.cancel() }
    return try await reply.futureResult.get()
  }

  /// Ends the connection; the next request makes a new one.
  public func close() async {
    guard let connecting else { return }
    self.connecting = nil
    // That it is closed already is what was wanted.
    if let channel = try? await connecting.value { try? await channel.close() }
  }

  private func connection() async throws -> any Channel {
    if let connecting {
      // An attempt that failed, or a connection that ended, is replaced below.
      if let channel = try? await connecting.value, channel.isActive { return channel }
      // Another request may have replaced it while this one waited.
      if self.connecting == connecting { self.connecting = nil }
    }
    if let connecting { return try await connecting.value }
    let attempt = Task { [endpoint, security, group] in try await HTTPClient.connect(endpoint, security, group) }
    connecting = attempt
    return try await attempt.value
  }

  static func connect(
    _ endpoint: Endpoint, _ security: TransportSecurity, _ group: any EventLoopGroup
  ) async throws -> any Channel {
    let bootstrap = ClientBootstrap(group: group)
      .connectTimeout(.milliseconds(Int64(ClientLimits.connectTimeoutMilliseconds)))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try security.addHandler(to: channel.pipeline.syncOperations, for: endpoint)
          try channel.pipeline.syncOperations.addHTTPClientHandlers()
          try channel.pipeline.syncOperations.addHandler(
            NIOHTTPClientResponseAggregator(maxContentLength: ClientLimits.answerBytesMax))
          try channel.pipeline.syncOperations.addHandler(HTTPExchangeHandler())
        }
      }
    do {
      return try await bootstrap.connect(to: endpoint).get()
    } catch {
      throw ClientError.unreachable("cannot connect to \(endpoint): \(describe(error))")
    }
  }
}

/// What went wrong, without NIO's wrapping.
func describe(_ error: any Error) -> String {
  if let error = error as? NIOConnectionError {
    return error.connectionErrors.first.map { describe($0.error) } ?? "the name does not resolve"
  }
  if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
  return "\(error)"
}
