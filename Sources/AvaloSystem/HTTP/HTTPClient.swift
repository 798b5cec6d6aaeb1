import NIOCore
import NIOHTTP1
import NIOPosix

/// Asks a neighbour process over its Unix socket: one request, one connection, everything bounded.
public enum HTTPClient {
  /// `GET path`. Throws when there is no whole answer within `timeout`, or it is over `bodyBytesMax`.
  public static func get(
    unixSocket: String, path: String, timeout: Duration, bodyBytesMax: Int = SystemLimits.httpAnswerBytesMax,
    on group: any EventLoopGroup = .singletonMultiThreadedEventLoopGroup
  ) async throws -> HTTPResponse {
    try await send(
      HTTPRequest(method: "GET", path: path), unixSocket: unixSocket, timeout: timeout, bodyBytesMax: bodyBytesMax,
      on: group)
  }

  /// Sends any request; `peerUserID` is not sent. Cancelling the task ends the connection.
  public static func send(
    _ request: HTTPRequest, unixSocket: String, timeout: Duration,
    bodyBytesMax: Int = SystemLimits.httpAnswerBytesMax,
    on group: any EventLoopGroup = .singletonMultiThreadedEventLoopGroup
  ) async throws -> HTTPResponse {
    let loop = group.next()
    let answer = loop.makePromise(of: HTTPResponse.self)
    let connected = ClientBootstrap(group: loop)
      .connectTimeout(.nanoseconds(timeout.nanoseconds))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHTTPClientHandlers()
          try channel.pipeline.syncOperations.addHandler(
            HTTPClientExchange(request: request, bodyBytesMax: bodyBytesMax, answer: answer))
        }
      }
      .connect(unixDomainSocketPath: unixSocket)
    connected.cascadeFailure(to: answer)
    let deadline = loop.scheduleTask(in: .nanoseconds(timeout.nanoseconds)) { answer.fail(HTTPClientError.timeout) }
    defer { deadline.cancel() }
    return try await withTaskCancellationHandler {
      do {
        let response = try await answer.futureResult.get()
        connected.whenSuccess { $0.close(promise: nil) }
        return response
      } catch {
        connected.whenSuccess { $0.close(promise: nil) }
        throw error
      }
    } onCancel: {
      answer.fail(CancellationError())
    }
  }
}

public enum HTTPClientError: Error, Equatable, Sendable {
  case timeout
  /// The other side closed before its answer was whole.
  case closed
  case answerTooLarge
}

/// Sends the request when connected and collects the answer.
private final class HTTPClientExchange: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let request: HTTPRequest
  private let bodyBytesMax: Int
  private let answer: EventLoopPromise<HTTPResponse>
  private var response = HTTPResponse()
  private var done = false

  init(request: HTTPRequest, bodyBytesMax: Int, answer: EventLoopPromise<HTTPResponse>) {
    self.request = request
    self.bodyBytesMax = bodyBytesMax
    self.answer = answer
  }

  func channelActive(context: ChannelHandlerContext) {
    var headers = HTTPHeaders(request.headers.map { ($0.name, $0.value) })
    // Hop by hop: this exchange's own.
    for name in ["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "TE", "Expect"] {
      headers.remove(name: name)
    }
    headers.replaceOrAdd(name: "Host", value: "localhost")
    headers.replaceOrAdd(name: "Connection", value: "close")
    if !request.body.isEmpty || request.method != "GET" {
      headers.replaceOrAdd(name: "Content-Length", value: String(request.body.count))
    }
    let target = request.query.isEmpty ? request.path : "\(request.path)?\(request.query)"
    let head = HTTPRequestHead(
      version: .http1_1, method: HTTPMethod(rawValue: request.method), uri: target, headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if !request.body.isEmpty {
      context.write(
        wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: request.body)))), promise: nil)
    }
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      response.status = Int(head.status.code)
      for (name, value) in head.headers { response.headers.add(name, value) }
    case .body(let part):
      guard response.body.count + part.readableBytes <= bodyBytesMax else {
        return finish(context, .failure(HTTPClientError.answerTooLarge))
      }
      response.body.append(contentsOf: part.readableBytesView)
    case .end:
      finish(context, .success(response))
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { finish(context, .failure(error)) }
  func channelInactive(context: ChannelHandlerContext) { finish(context, .failure(HTTPClientError.closed)) }

  private func finish(_ context: ChannelHandlerContext, _ result: Result<HTTPResponse, any Error>) {
    guard !done else { return }
    done = true
    answer.completeWith(result)
    context.close(promise: nil)
  }
}
