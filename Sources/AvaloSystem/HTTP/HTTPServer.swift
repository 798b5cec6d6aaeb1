import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A small HTTP/1.1 server for metrics, health and control: a few connections, whole requests, whole answers,
/// everything bounded in bytes, number and time. Not for clients' traffic.
///
/// Owned by a worker's or the supervisor's main; its connections live on the group's loops.
public final class HTTPServer: Sendable {
  public struct Bounds: Sendable {
    public var bodyBytesMax = SystemLimits.httpBodyBytesMax
    public var connectionsMax = SystemLimits.httpConnectionsMax
    public var readTimeMax = SystemLimits.httpReadTimeMax
    public var answerTimeMax = SystemLimits.httpAnswerTimeMax
    public var idleTimeMax = SystemLimits.httpIdleTimeMax
    public init() {}
  }

  private let routes: HTTPRoutes
  private let group: any EventLoopGroup
  private let bounds: Bounds
  private let log: Logger
  private let state = Mutex(State())

  private struct State {
    var listeners: [any Channel] = []
    var connections: [ObjectIdentifier: any Channel] = [:]
    var stopping = false
  }

  public init(routes: HTTPRoutes, group: any EventLoopGroup, bounds: Bounds = Bounds(), log: Logger) {
    self.routes = routes
    self.group = group
    self.bounds = bounds
    self.log = log
  }

  /// Serves a socket that is bound already (and may be listening); the descriptor becomes the server's.
  @discardableResult
  public func listen(descriptor: Int32) async throws -> SocketAddress? {
    try await add(bootstrap().withBoundSocket(descriptor).get())
  }
  /// Binds a Unix socket; the path must not exist.
  public func listen(unixSocket path: String) async throws {
    _ = try await add(bootstrap().bind(unixDomainSocketPath: path).get())
  }
  /// Binds a TCP port; 0 takes a free one. Answers where it listens.
  @discardableResult
  public func listen(host: String, port: Int) async throws -> SocketAddress? {
    try await add(bootstrap().bind(host: host, port: port).get())
  }

  /// Accepts no more, lets running requests end within `time`, closes the rest. Returns when nothing is open.
  public func stop(within time: Duration = .seconds(5)) async {
    let (listeners, connections) = state.withLock { state in
      state.stopping = true
      defer { state.listeners = [] }
      return (state.listeners, Array(state.connections.values))
    }
    // Errors mean that a channel is closed already, which is what is wanted.
    for listener in listeners { try? await listener.close().get() }
    for connection in connections { connection.pipeline.fireUserInboundEventTriggered(HTTPServerConnection.Quiesce()) }
    let deadline = group.next().scheduleTask(in: .nanoseconds(time.nanoseconds)) {
      for connection in connections { connection.close(promise: nil) }
    }
    for connection in connections { try? await connection.closeFuture.get() }
    deadline.cancel()
  }

  private func add(_ listener: any Channel) async throws -> SocketAddress? {
    let stopped = state.withLock { state in
      if !state.stopping { state.listeners.append(listener) }
      return state.stopping
    }
    if stopped { try await listener.close().get() }
    return listener.localAddress
  }

  private func bootstrap() -> ServerBootstrap {
    ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 128)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard self.admit(channel) else { throw ChannelError.eof }
          var limits = NIOHTTPDecoderLimitConfiguration()
          limits.maxHeaderFieldSize = SystemLimits.httpHeadBytesMax
          limits.maxHeaderListSize = SystemLimits.httpHeadBytesMax
          limits.maxHeaderFieldCount = 64
          try channel.pipeline.syncOperations.configureHTTPServerPipeline(
            withPipeliningAssistance: true, withErrorHandling: false, withEncoderConfiguration: .init(),
            withDecoderLimitConfiguration: limits)
          try channel.pipeline.syncOperations.addHandler(
            HTTPServerConnection(routes: self.routes, bounds: self.bounds, log: self.log))
        }
      }
  }

  /// Counts the connection in until it closes; `false` when there are too many.
  private func admit(_ channel: any Channel) -> Bool {
    let id = ObjectIdentifier(channel)
    let admitted = state.withLock { state in
      guard !state.stopping, state.connections.count < bounds.connectionsMax else { return false }
      state.connections[id] = channel
      return true
    }
    if admitted {
      channel.closeFuture.whenComplete { _ in _ = self.state.withLock { $0.connections.removeValue(forKey: id) } }
    } else {
      log.warning("connection refused", metadata: ["connections_max": "\(bounds.connectionsMax)"])
    }
    return admitted
  }
}
