import NIOCore
import NIOHTTP1

/// One request on its way through the pipeline, with who waits for its answer.
struct HTTPExchange: Sendable {
  var request: HTTPRequest
  var authority: String
  var reply: EventLoopPromise<HTTPReply>
}

/// Writes requests and hands answers back in order (RFC 9112 §9.3.2). Owned by its channel, on its event loop. What
/// has no answer when the connection ends fails; it is never sent again from here.
final class HTTPExchangeHandler: ChannelDuplexHandler {
  typealias InboundIn = NIOHTTPClientResponseFull
  typealias OutboundIn = HTTPExchange
  typealias OutboundOut = HTTPClientRequestPart

  private var waiting = CircularBuffer<EventLoopPromise<HTTPReply>>()
  private var failure: ClientError?

  /// The promise is kept when the request is taken: from then on its reply tells what became of it.
  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let exchange = unwrapOutboundIn(data)
    if let failure {
      exchange.reply.fail(failure)
      promise?.fail(failure)
      return
    }
    waiting.append(exchange.reply)
    promise?.succeed()
    for part in exchange.request.parts(for: exchange.authority) { context.write(wrapOutboundOut(part), promise: nil) }
    context.write(wrapOutboundOut(.end(nil)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let answer = unwrapInboundIn(data)
    guard let reply = waiting.popFirst() else {
      fail(context, .broken("the server answered what nobody asked"))
      return
    }
    let whole = HTTPReply(
      status: Int(answer.head.status.code),
      headers: answer.head.headers.map { (name: $0.name.lowercased(), value: $0.value) },
      body: answer.body.map { Array($0.readableBytesView) } ?? [])
    // Closed before anyone learns of the answer: the next request must not find a connection that is ending.
    if !answer.head.isKeepAlive { fail(context, .unreachable("the server closed the connection before the answer")) }
    reply.succeed(whole)
  }

  /// Nothing came in time: the connection ends, since the answer could no longer be told from the next one.
  func timeOut(_ context: ChannelHandlerContext, _ error: ClientError) { fail(context, error) }

  func errorCaught(context: ChannelHandlerContext, error: Error) {
    fail(context, .broken("the server's answer is not HTTP: \(error)"))
  }

  func channelInactive(context: ChannelHandlerContext) {
    fail(context, .unreachable("the connection ended before the answer"))
    context.fireChannelInactive()
  }

  /// Ends the connection first, so that who is woken makes a new one.
  private func fail(_ context: ChannelHandlerContext, _ error: ClientError) {
    let failure = failure ?? error
    self.failure = failure
    context.close(promise: nil)
    while let reply = waiting.popFirst() { reply.fail(failure) }
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
