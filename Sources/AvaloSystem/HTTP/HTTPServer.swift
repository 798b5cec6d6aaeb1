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
    var connections: [ObjectIdentifier: Connection] = [:]
    var waits: UInt64 = 0
    var stopping = false
  }

  private struct Connection {
    var channel: any Channel
    /// The lower, the longer it has been without a whole request; `nil` while one is being answered.
    var waits: UInt64?
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
      return (state.listeners, state.connections.values.map(\.channel))
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
          try channel.pipeline.syncOperations.addHandler(HTTPServerConnection.ByteWatch())
          try channel.pipeline.syncOperations.configureHTTPServerPipeline(
            withPipeliningAssistance: true, withErrorHandling: false, withEncoderConfiguration: .init(),
            withDecoderLimitConfiguration: limits)
          try channel.pipeline.syncOperations.addHandler(
            HTTPServerConnection(routes: self.routes, bounds: self.bounds, log: self.log) { isWaiting in
              self.note(channel, isWaiting: isWaiting)
            })
        }
      }
  }

  /// Counts the connection in until it closes. When there are too many, who has waited longest without asking makes room:
  /// whoever holds connections for nothing locks nobody out. `false` when all are being answered.
  private func admit(_ channel: any Channel) -> Bool {
    let id = ObjectIdentifier(channel)
    let (admitted, evicted) = state.withLock { state -> (Bool, (any Channel)?) in
      guard !state.stopping else { return (false, nil) }
      var evicted: (any Channel)?
      if state.connections.count >= bounds.connectionsMax {
        guard
          let longest = state.connections.filter({ $0.value.waits != nil }).min(by: {
            $0.value.waits! < $1.value.waits!
          })
        else { return (false, nil) }
        evicted = state.connections.removeValue(forKey: longest.key)?.channel
      }
      state.waits += 1
      state.connections[id] = Connection(channel: channel, waits: state.waits)
      return (true, evicted)
    }
    evicted?.close(promise: nil)
    if admitted {
      channel.closeFuture.whenComplete { _ in _ = self.state.withLock { $0.connections.removeValue(forKey: id) } }
    }
    if !admitted || evicted != nil {
      log.warning(
        admitted ? "connection closed for another" : "connection refused",
        metadata: ["connections_max": "\(bounds.connectionsMax)"])
    }
    return admitted
  }

  private func note(_ channel: any Channel, isWaiting: Bool) {
    state.withLock { state in
      state.waits += 1
      state.connections[ObjectIdentifier(channel)]?.waits = isWaiting ? state.waits : nil
    }
  }
}
