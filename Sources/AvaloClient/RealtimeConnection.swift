import AvaloCore
import NIOCore
import NIOPosix

/// One connection to the server, from `ready` until it ends. It does not come back: ``RealtimeClient`` does.
///
///     let connection = try await RealtimeConnection.open(endpoint, ConnectRequest(.token(token)))
///     for await frame in connection.frames { … }
///     print(await connection.closeReason)
///
/// May be used from any task. One task reads ``frames``; while it lags far behind, the socket is not read.
public final class RealtimeConnection: Sendable {
  /// What the server said when it let us in.
  public let ready: ServerFrame.Ready
  /// Everything after `ready` but answers and pongs, in order, for one reader.
  public let frames: Frames
  private let channel: any Channel
  private let handler: NIOLoopBound<ConnectionHandler>
  private let closed: EventLoopFuture<CloseReason>

  /// Connects, authenticates, and waits for `ready`. Throws ``ClientError``.
  public static func open(
    _ endpoint: Endpoint, _ request: ConnectRequest, security: TransportSecurity = TransportSecurity(),
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
  ) async throws -> RealtimeConnection {
    var target = "/ws"
    var greeting: ClientFrame? = .connect(request)
    if case .ticket(let url) = request.authentication {
      guard let parts = URLParts(url) else { throw ClientError.broken("\(url) is not a ws:// URL") }
      target = parts.target
      greeting = nil
    }
    let loop = group.next()
    let opened = loop.makePromise(of: ServerFrame.Ready.self)
    let closed = loop.makePromise(of: CloseReason.self)
    let queue = FrameQueue()
    let handler = NIOLoopBoundBox.makeBoxSendingValue(
      ConnectionHandler(greeting: greeting, opened: opened, closed: closed, frames: queue), eventLoop: loop)
    let nonce = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
    let bootstrap = ClientBootstrap(group: loop)
      .connectTimeout(.milliseconds(Int64(ClientLimits.connectTimeoutMilliseconds)))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { [target] channel in
        channel.eventLoop.makeCompletedFuture {
          try security.addHandler(to: channel.pipeline.syncOperations, for: endpoint)
          try channel.pipeline.syncOperations.addHandler(
            HandshakeHandler(authority: endpoint.authority, target: target, nonce: nonce, end: handler.value))
        }
      }
    let channel: any Channel
    do {
      channel = try await bootstrap.connect(to: endpoint).get()
    } catch {
      let error = ClientError.unreachable("cannot connect to \(endpoint): \(describe(error))")
      opened.fail(error)
      closed.succeed(.broken(error.description))
      throw error
    }
    let deadline = loop.scheduleTask(in: .milliseconds(Int64(ClientLimits.connectTimeoutMilliseconds))) {
      opened.fail(ClientError.timedOut("\(endpoint) did not say ready in time"))
      channel.close(promise: nil)
    }
    defer { deadline.cancel() }
    let ready = try await opened.futureResult.get()
    let bound = try await loop.submit { NIOLoopBound(handler.value, eventLoop: loop) }.get()
    return RealtimeConnection(ready, channel, bound, closed.futureResult, Frames(queue: queue))
  }

  private init(
    _ ready: ServerFrame.Ready, _ channel: any Channel, _ handler: NIOLoopBound<ConnectionHandler>,
    _ closed: EventLoopFuture<CloseReason>, _ frames: Frames
  ) {
    self.ready = ready
    self.channel = channel
    self.handler = handler
    self.closed = closed
    self.frames = frames
  }

  /// How the connection ended; waits until it has.
  public var closeReason: CloseReason {
    get async {
      // The promise is never failed.
      (try? await closed.get()) ?? .broken("the connection broke")
    }
  }

  /// Calls one of the server's functions over this connection. Throws ``ClientError``.
  public func call(
    _ name: String, _ data: JSONText = .emptyObject,
    timeout: Duration = .milliseconds(ClientLimits.answerTimeoutMilliseconds)
  ) async throws -> JSONText {
    let answer = channel.eventLoop.makePromise(of: JSONText.self)
    perform { $0.call(name, data, answer, timeout: TimeAmount(timeout)) }
    return try await answer.futureResult.get()
  }

  /// Everything up to each of these positions is processed. Travels soon, together with others.
  public func acknowledge(_ positions: [String: Position]) { perform { $0.acknowledge(positions) } }

  /// Asks for a pong and says how long it took.
  public func ping() async throws -> Duration {
    let answer = channel.eventLoop.makePromise(of: Void.self)
    let start = ContinuousClock.now
    perform { $0.ping(answer) }
    try await answer.futureResult.get()
    return ContinuousClock.now - start
  }

  /// Says good-bye and ends the connection; what was acknowledged goes out before.
  public func close(code: UInt16 = 1000) { perform { $0.close(code: code) } }

  /// As ``close(code:)``, but later; what comes until then is still read.
  public func close(after delay: Duration) {
    channel.eventLoop.scheduleTask(in: TimeAmount(delay)) { [handler] in handler.value.close(code: 1000) }
  }

  /// Ends the connection without a word, as a broken network would.
  public func abort() { channel.close(promise: nil) }

  private func perform(_ body: @escaping @Sendable (ConnectionHandler) -> Void) {
    channel.eventLoop.execute { [handler] in body(handler.value) }
  }
}
