import CAvalo
import Logging
import NIOCore
import NIOHTTP1

/// One connection of an ``HTTPServer``, confined to its loop: collects a request, has it answered, writes the answer.
/// The pipelining handler in front of it holds a second request back until the first is answered.
final class HTTPServerConnection: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  /// Take no more requests; close when nothing is being answered.
  struct Quiesce: Sendable {}

  /// Stands in front of the decoder and tells that something came, of which the decoder makes nothing before a head is whole.
  final class ByteWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    struct BytesCame: Sendable {}

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      context.fireUserInboundEventTriggered(BytesCame())
      context.fireChannelRead(data)
    }
  }

  private enum Phase {
    /// Between requests.
    case idle
    /// A request is arriving.
    case reading(HTTPRequestHead, body: [UInt8])
    /// It was refused: what is left of it is thrown away.
    case refused
    /// A handler works on it.
    case answering(keepAlive: Bool)
    /// The last answer is on its way.
    case writing
  }

  private let routes: HTTPRoutes
  private let bounds: HTTPServer.Bounds
  private let log: Logger
  /// Told when it begins to wait for a request, and when it has one.
  private let waiting: (Bool) -> Void
  private var phase = Phase.idle
  /// Bytes of the next request are here: its time runs.
  private var hasBegun = false
  private var closing = false
  private var deadline: Scheduled<Void>?
  private var task: Task<Void, Never>?
  /// Tells an answer that comes after its request's time was up from the next one's.
  private var serial = 0
  private var peerUserID: UInt32?

  init(routes: HTTPRoutes, bounds: HTTPServer.Bounds, log: Logger, waiting: @escaping (Bool) -> Void) {
    self.waiting = waiting
    self.routes = routes
    self.bounds = bounds
    self.log = log
  }

  func channelActive(context: ChannelHandlerContext) {
    if context.remoteAddress?.protocol == .unix || context.localAddress?.protocol == .unix {
      peerUserID = peerUser(of: context.channel)
    }
    enter(.idle, context)
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch (unwrapInboundIn(data), phase) {
    case (.head(let head), .idle):
      if let length = head.headers.first(name: "Content-Length").flatMap({ Int($0) }), length > bounds.bodyBytesMax {
        return refuse(context, 413, "the body may have \(bounds.bodyBytesMax) bytes")
      }
      enter(.reading(head, body: []), context)
      if head.headers.first(name: "Expect")?.lowercased() == "100-continue" {
        let interim = HTTPResponseHead(version: head.version, status: .continue)
        context.writeAndFlush(wrapOutboundOut(.head(interim)), promise: nil)
      }
    case (.body(let part), .reading(let head, var body)):
      guard body.count + part.readableBytes <= bounds.bodyBytesMax else {
        return refuse(context, 413, "the body may have \(bounds.bodyBytesMax) bytes")
      }
      phase = .refused  // so that `body` is not copied
      body.append(contentsOf: part.readableBytesView)
      phase = .reading(head, body: body)
    case (.end, .reading(let head, let body)):
      answer(context, head, body)
    default:
      // The rest of a request that was refused.
      break
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error {
    case HTTPParserError.headerOverflow: refuse(context, 431, "the request's head is too long")
    case is HTTPParserError: refuse(context, 400, "not an HTTP/1.1 request")
    default: context.close(promise: nil)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case is ByteWatch.BytesCame:
      guard !hasBegun else { return }
      hasBegun = true
      if case .idle = phase { setDeadline(bounds.readTimeMax, context) }
    case is Quiesce:
      closing = true
      if case .idle = phase { context.close(promise: nil) }
    case ChannelEvent.inputClosed:
      // A client that shuts its side down after its request still wants the answer.
      closing = true
      switch phase {
      case .idle, .reading, .refused: context.close(promise: nil)
      case .answering, .writing: break
      }
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    deadline?.cancel()
    task?.cancel()
    context.fireChannelInactive()
  }

  // MARK: Answering

  private func answer(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ body: [UInt8]) {
    guard head.uri.hasPrefix("/") else { return refuse(context, 400, "the request's target must be a path") }
    let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var request = HTTPRequest(
      method: head.method.rawValue, path: String(parts[0]), query: parts.count == 2 ? String(parts[1]) : "",
      body: body, peerUserID: peerUserID)
    for (name, value) in head.headers { request.headers.add(name, value) }

    enter(.answering(keepAlive: head.isKeepAlive), context)
    waiting(false)
    hasBegun = false  // what comes now is the next request's
    serial += 1
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    // Cancelled by `channelInactive` and when the answer's time is up.
    task = Task { [request, routes, serial, eventLoop = context.eventLoop] in
      let response = await routes.answer(request)
      eventLoop.execute {
        let (connection, context) = bound.value
        connection.finished(context, serial, response, withoutBody: request.method == "HEAD")
      }
    }
  }

  private func finished(
    _ context: ChannelHandlerContext, _ serial: Int, _ response: HTTPResponse, withoutBody: Bool
  ) {
    // Between the request and now the connection may have closed or its time may have been up.
    guard serial == self.serial, case .answering(let keepAlive) = phase, context.channel.isActive else { return }
    task = nil
    write(context, response, keepAlive: keepAlive && !closing, withoutBody: withoutBody)
  }

  private func refuse(_ context: ChannelHandlerContext, _ status: Int, _ reason: String) {
    switch phase {
    case .idle, .reading: break
    case .refused, .answering, .writing: return context.close(promise: nil)
    }
    write(context, .text(reason, status: status), keepAlive: false, withoutBody: false)
    phase = .refused
  }

  private func write(
    _ context: ChannelHandlerContext, _ response: HTTPResponse, keepAlive: Bool, withoutBody: Bool
  ) {
    enter(.writing, context)
    var headers = HTTPHeaders(response.headers.map { ($0.name, $0.value) })
    headers.replaceOrAdd(name: "Content-Length", value: String(response.body.count))
    headers.replaceOrAdd(name: "Connection", value: keepAlive ? "keep-alive" : "close")
    let head = HTTPResponseHead(
      version: .http1_1, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if !withoutBody, !response.body.isEmpty {
      context.write(
        wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: response.body)))), promise: nil)
    }
    // This first: the pipelining handler passes the next request on while the end is being written.
    if keepAlive {
      enter(.idle, context)
      waiting(true)
    }
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { result in
      let (connection, context) = bound.value
      switch (result, connection.phase) {
      case (.failure, _), (.success, .writing), (.success, .refused): context.close(promise: nil)
      case (.success, .idle): if connection.closing { context.close(promise: nil) }
      case (.success, .reading), (.success, .answering): break
      }
    }
  }

  // MARK: Time

  private func enter(_ next: Phase, _ context: ChannelHandlerContext) {
    phase = next
    switch next {
    case .idle: setDeadline(hasBegun ? bounds.readTimeMax : bounds.idleTimeMax, context)
    // From its first byte on.
    case .reading: if !hasBegun { setDeadline(bounds.readTimeMax, context) }
    case .refused: setDeadline(bounds.readTimeMax, context)
    case .answering, .writing: setDeadline(bounds.answerTimeMax, context)
    }
  }

  private func setDeadline(_ time: Duration, _ context: ChannelHandlerContext) {
    deadline?.cancel()
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    deadline = context.eventLoop.scheduleTask(in: .nanoseconds(time.nanoseconds)) {
      let (connection, context) = bound.value
      connection.timeIsUp(context)
    }
  }

  private func timeIsUp(_ context: ChannelHandlerContext) {
    guard case .answering = phase else { return context.close(promise: nil) }
    task?.cancel()
    serial += 1
    log.warning("request not answered in time", metadata: ["seconds": "\(bounds.answerTimeMax.inSeconds)"])
    write(context, .text("no answer in time", status: 503), keepAlive: false, withoutBody: false)
  }

  private func peerUser(of channel: any Channel) -> UInt32? {
    let descriptor = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
      of: NIOBSDSocket.Handle.self
    ) { $0 }
    guard let descriptor else { return nil }
    var pid: pid_t = 0
    var user: uid_t = 0
    var groupID: gid_t = 0
    return avalo_peer_credentials(descriptor, &pid, &user, &groupID) == 0 ? user : nil
  }
}
