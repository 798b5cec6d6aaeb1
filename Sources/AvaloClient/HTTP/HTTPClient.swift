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

/// Asks one server over one kept-alive connection, made when it is needed and made anew when it has ended or does not
/// answer.
///
/// Requests that are asked at the same time share the connection and are answered in order; one that is late or given up
/// takes nothing from the others. A request that was sent and got no answer is never repeated: only who asked knows
/// whether that is safe.
public actor HTTPClient {
  /// The one server it asks.
  public nonisolated let endpoint: Endpoint
  private let group: any EventLoopGroup
  private let security: TransportSecurity
  /// The connection, or the attempt at one, that the next request is for.
  private var current: EventLoopFuture<any Channel>?

  /// Does nothing yet.
  public init(
    _ endpoint: Endpoint, security: TransportSecurity = TransportSecurity(),
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
  ) {
    self.endpoint = endpoint
    self.security = security
    self.group = group
  }

  /// - `timeout`: for all of it, the connection included; a day at most.
  ///
  /// Throws ``ClientError`` `unreachable`, `timedOut` or `broken`; any status is an answer. `CancellationError` when the
  /// task is cancelled: what was asked for may still happen.
  public func send(_ request: HTTPRequest, timeout: Duration = .milliseconds(ClientLimits.answerTimeoutMilliseconds))
    async throws -> HTTPReply
  {
    let end = NIODeadline.now() + .milliseconds(timeout.waitMilliseconds)
    // A connection that is just ending takes nothing, and the next one is new.
    for _ in 0..<2 {
      try Task.checkCancellation()
      let (attempt, channel) = try await connection(until: end)
      do {
        if let reply = try await exchange(request, on: channel, until: end) { return reply }
        forget(attempt)
      } catch ClientError.timedOut(let why) {
        forget(attempt)
        throw ClientError.timedOut(why)
      }
    }
    throw ClientError.unreachable("the connection ended before the request")
  }

  /// `nil` when the connection has ended, and nothing was sent.
  nonisolated func exchange(
    _ request: HTTPRequest, on channel: any Channel, until end: NIODeadline
  ) async throws -> HTTPReply? {
    let reply = channel.eventLoop.makePromise(of: HTTPReply?.self)
    let taken = channel.eventLoop.makePromise(of: Void.self)
    taken.futureResult.whenFailure { _ in reply.succeed(nil) }
    channel.writeAndFlush(HTTPExchange(request: request, authority: endpoint.authority, reply: reply), promise: taken)
    let late = ClientError.timedOut("\(endpoint) did not answer \(request.target) in time")
    let deadline = channel.eventLoop.scheduleTask(deadline: end) {
      HTTPExchangeHandler.giveUp(reply, late, isLate: true, on: channel)
    }
    defer { deadline.cancel() }
    return try await withTaskCancellationHandler {
      try await reply.futureResult.get()
    } onCancel: {
      channel.eventLoop.execute { HTTPExchangeHandler.giveUp(reply, CancellationError(), isLate: false, on: channel) }
    }
  }

  /// Ends the connection; the next request makes a new one.
  public func close() async {
    guard let current else { return }
    self.current = nil
    // That it is closed already is what was wanted.
    if let channel = try? await current.get() { try? await channel.close() }
  }

  private func forget(_ attempt: EventLoopFuture<any Channel>) {
    if current === attempt { current = nil }
  }

  private func connection(
    until end: NIODeadline
  ) async throws -> (attempt: EventLoopFuture<any Channel>, channel: any Channel) {
    let late = ClientError.unreachable("no connection to \(endpoint) in time")
    if let known = current {
      do {
        let channel = try await known.get(until: end, orThrow: late)
        if channel.isActive { return (known, channel) }
      } catch  where !Task.isCancelled && NIODeadline.now() < end {
        // It failed for whoever began it; this request may try for itself.
      }
      // Unless another request has replaced it meanwhile.
      forget(known)
    }
    let attempt = current ?? HTTPClient.connect(endpoint, security, group)
    current = attempt
    return (attempt, try await attempt.get(until: end, orThrow: late))
  }

  static func connect(
    _ endpoint: Endpoint, _ security: TransportSecurity, _ group: any EventLoopGroup
  ) -> EventLoopFuture<any Channel> {
    ClientBootstrap(group: group)
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
      .connect(to: endpoint)
      .flatMapErrorThrowing { throw ClientError.unreachable("cannot connect to \(endpoint): \(describe($0))") }
  }
}

extension EventLoopFuture where Value: Sendable {
  /// Its value, or an error when that is too long in coming or the task is cancelled. What comes of it later is for others.
  fileprivate func get(until end: NIODeadline, orThrow late: ClientError) async throws -> Value {
    let promise = eventLoop.makePromise(of: Value.self)
    cascade(to: promise)
    let deadline = eventLoop.scheduleTask(deadline: end) { promise.fail(late) }
    defer { deadline.cancel() }
    return try await withTaskCancellationHandler {
      try await promise.futureResult.get()
    } onCancel: {
      promise.fail(CancellationError())
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
