import NIOCore
import NIOHTTP1

/// One request on its way through the pipeline, with who waits for its answer.
struct HTTPExchange: Sendable {
  var request: HTTPRequest
  var authority: String
  /// `nil` when the request was never begun.
  var reply: EventLoopPromise<HTTPReply?>
}

/// Writes requests and hands answers back in order (RFC 9112 §9.3.2). Owned by its channel, on its event loop. What
/// has no answer when the connection ends fails; it is never sent again from here.
final class HTTPExchangeHandler: ChannelDuplexHandler {
  typealias InboundIn = NIOHTTPClientResponseFull
  typealias OutboundIn = HTTPExchange
  typealias OutboundOut = HTTPClientRequestPart

  private struct Waiter {
    var reply: EventLoopPromise<HTTPReply?>
    /// Nobody waits any more; but its answer still comes before the next one's.
    var isGivenUp = false
  }

  private var waiting = CircularBuffer<Waiter>()
  private var failure: ClientError?
  /// Takes nothing more, and ends with the last one that waits: the other side may be gone.
  private var isRetired = false

  /// The promise is kept when the request is taken: from then on its reply tells what became of it.
  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let exchange = unwrapOutboundIn(data)
    guard failure == nil, !isRetired else {
      promise?.fail(failure ?? .unreachable("the connection did not answer"))
      return
    }
    waiting.append(Waiter(reply: exchange.reply))
    promise?.succeed()
    for part in exchange.request.parts(for: exchange.authority) { context.write(wrapOutboundOut(part), promise: nil) }
    context.write(wrapOutboundOut(.end(nil)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let answer = unwrapInboundIn(data)
    guard let waiter = waiting.popFirst() else {
      fail(context, .broken("the server answered what nobody asked"))
      return
    }
    let whole = HTTPReply(
      status: Int(answer.head.status.code),
      headers: answer.head.headers.map { (name: $0.name.lowercased(), value: $0.value) },
      body: answer.body.map { Array($0.readableBytesView) } ?? [])
    // Closed before anyone learns of the answer: the next request must not find a connection that is ending.
    if !answer.head.isKeepAlive { fail(context, .unreachable("the server closed the connection before the answer")) }
    waiter.reply.succeed(whole)
    endIfNobodyWaits(context)
  }

  /// Fails who waits for this answer, and nobody else.
  ///
  /// - `isLate`: nothing came in time. Then the connection takes no other request.
  static func giveUp(_ reply: EventLoopPromise<HTTPReply?>, _ error: any Error, isLate: Bool, on channel: any Channel) {
    reply.fail(error)
    // Without its handler the channel is gone, and whoever waited was told so; to tell it twice does no harm.
    guard let context = try? channel.pipeline.syncOperations.context(handlerType: HTTPExchangeHandler.self),
      let handler = try? channel.pipeline.syncOperations.handler(type: HTTPExchangeHandler.self),
      let index = handler.waiting.firstIndex(where: { $0.reply.futureResult === reply.futureResult })
    else { return }
    handler.waiting[index].isGivenUp = true
    if isLate { handler.isRetired = true }
    handler.endIfNobodyWaits(context)
  }

  func errorCaught(context: ChannelHandlerContext, error: Error) {
    fail(context, .broken("the server's answer is not HTTP: \(error)"))
  }

  func channelInactive(context: ChannelHandlerContext) {
    fail(context, .unreachable("the connection ended before the answer"))
    context.fireChannelInactive()
  }

  private func endIfNobodyWaits(_ context: ChannelHandlerContext) {
    guard isRetired, !waiting.contains(where: { !$0.isGivenUp }) else { return }
    fail(context, .unreachable("the connection did not answer"))
  }

  /// Ends the connection first, so that who is woken makes a new one.
  private func fail(_ context: ChannelHandlerContext, _ error: ClientError) {
    let failure = failure ?? error
    self.failure = failure
    context.close(promise: nil)
    while let waiter = waiting.popFirst() { waiter.reply.fail(failure) }
  }
}

extension HTTPRequest {
  /// As it is written, but for its end.
  func parts(for authority: String) -> [HTTPClientRequestPart] {
    var head = HTTPRequestHead(version: .http1_1, method: HTTPMethod(rawValue: method), uri: target)
    head.headers.add(name: "host", value: authority)
    for header in headers { head.headers.add(name: header.name, value: header.value) }
    guard !body.isEmpty || method == "POST" else { return [.head(head)] }
    head.headers.add(name: "content-length", value: "\(body.count)")
    return body.isEmpty ? [.head(head)] : [.head(head), .body(.byteBuffer(ByteBuffer(bytes: body)))]
  }
}
