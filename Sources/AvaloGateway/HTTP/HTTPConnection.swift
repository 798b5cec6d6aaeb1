import AvaloCore
import NIOCore
import NIOHTTP1

/// One HTTP connection, confined to its loop: reads requests, has them answered, writes the answers in the requests'
/// order. Requests that were sent without waiting for answers are worked on at the same time. What was answered in one
/// turn of the loop leaves in one write.
final class HTTPConnection: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundIn = Never
  typealias OutboundOut = ByteBuffer

  /// What is being read.
  private enum Reading {
    /// Between requests.
    case nothing
    /// A head has begun.
    case head(since: NIODeadline)
    case body(HTTPExchange, since: NIODeadline)
    /// No request will be taken any more; what still comes is thrown away.
    case over
  }

  let service: HTTPService
  private let peer: HTTPPeer
  /// How it becomes a WebSocket; `nil` where it cannot.
  let handshake: LaterHandshake?
  private(set) var context: ChannelHandlerContext?
  private var reading = Reading.nothing
  /// Bytes since the last complete request, of which an incomplete head is a part.
  private var headBytes = 0
  private var due = DueAnswers()
  /// What this read brought, as it came.
  private var unread = ByteBuffer()
  /// Answers on their way out.
  private var out = ByteBuffer()
  /// Whose callers want to know whether they got there.
  private var outgoing: [AnswerWriting] = []
  private var insideRead = false
  private var flushScheduled = false
  /// The connection is about to become a stream, or a WebSocket.
  var isLeaving = false
  /// What comes from here on is a WebSocket's: the decoder, which keeps it meanwhile, is not to keep much.
  var isUpgrading = false
  private(set) var readHeldBack = false
  /// To be closed as soon as what it has begun is answered.
  private var quiescing = false
  /// The client has closed its side.
  private(set) var inputClosed = false
  /// We have closed ours: the last answer is out.
  private var outputClosed = false
  /// Something was answered, and nothing is asked.
  private var isIdle = false {
    didSet { if isIdle != oldValue { service.isIdle(isIdle) } }
  }
  var lastProgress = NIODeadline.uptimeNanoseconds(0)
  private var timer: (task: Scheduled<Void>, at: NIODeadline)?

  init(service: HTTPService, peer: HTTPPeer, handshake: LaterHandshake? = nil) {
    self.service = service
    self.peer = peer
    self.handshake = handshake
  }

  // MARK: Reading

  /// Before they are parsed.
  func arrived(_ bytes: ByteBuffer, _ now: NIODeadline) {
    insideRead = true
    guard !isOver else { return }
    unread = bytes
    headBytes += bytes.readableBytes
    lastProgress = now
    if case .nothing = reading { reading = .head(since: now) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch (Self.unwrapInboundIn(data), reading) {
    case (.head(let head), .head), (.head(let head), .nothing): begin(head, context)
    case (.body(let part), .body(var exchange, let since)):
      reading = .nothing  // so that the body is not copied
      if exchange.append(part) {
        reading = .body(exchange, since: since)
      } else {
        refuse(exchange.tooLarge, exchange)
      }
    case (.end, .body(let exchange, _)):
      // A next head that began in this same read is not noticed before more of it comes: until then this is idle.
      reading = .nothing
      headBytes = 0
      answer(exchange, context)
    default: break
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    insideRead = false
    if case .head = reading, headBytes > GatewayLimits.httpHeadBytesMax { refuse(HTTPConnection.headTooLarge, nil) }
    unread = ByteBuffer()
    flush()
    arm()
    context.fireChannelReadComplete()
  }

  private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    headBytes = 0
    let exchange = HTTPExchange(head, access: service.calls.access.current, draining: service.health.draining)
    if exchange.facts.hasUpgrade, let offer = handshake?.offer(head) { return upgrade(offer, exchange) }
    if let refusal = exchange.refusalBeforeBody { return refuse(refusal, exchange) }
    reading = .body(exchange, since: lastProgress)
    if exchange.facts.expectsContinue, head.version == .http1_1, due.isEmpty {
      out.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
    }
  }

  private func answer(_ exchange: HTTPExchange, _ context: ChannelHandlerContext) {
    var last = exchange.due
    let writing = exchange.writing(peer)
    last.writing = writing
    if quiescing { last.keepAlive = false }
    let number = due.append(last)
    if !last.keepAlive { reading = .over }
    exchange.answer(service, peer, on: context.eventLoop, writing: writing) { answer in self.answered(number, answer) }
  }

  /// The request is the connection's last, and in its turn its head goes to the front door.
  private func upgrade(_ head: ByteBuffer, _ exchange: HTTPExchange) {
    guard !quiescing, !service.health.draining else { return refuse(.error(.draining), exchange) }
    reading = .over
    isUpgrading = true
    var last = exchange.due
    last.answer = .handshake(head)
    due.append(last)
    writeAnswered()
  }

  /// Answers without reading the request to its end; it is the connection's last.
  private func refuse(_ answer: HTTPAnswer, _ exchange: HTTPExchange?) {
    reading = .over
    if case .error(let error, _, _) = answer, let met = error.exceeded { service.calls.observer?.refused(met.limit) }
    var last = exchange?.due ?? HTTPExchange.Due()
    if exchange == nil {
      last.allowedOrigin = unread.withUnsafeReadableBytes { service.calls.access.current.cors.origin(in: $0) }
    }
    last.keepAlive = false
    last.answer = answer
    due.append(last)
    writeAnswered()
  }

  private static var headTooLarge: HTTPAnswer {
    .error(CallError(.invalidArgument, "the request's head is over \(GatewayLimits.httpHeadBytesMax) bytes"))
  }

  // MARK: Answering

  private func answered(_ number: Int, _ answer: HTTPAnswer) {
    // The connection may be closed by now, or the request's time was up and it has its answer.
    guard context != nil, due.answer(number, answer) else { return }
    if due.isFirst(number) { writeAnswered() }
  }

  /// Writes what is answered at the front of the queue.
  private func writeAnswered() {
    guard let context else { return }
    let now = service.calls.wall.milliseconds / 1000
    while let first = due.first, let answer = first.answer {
      if case .stream(let start) = answer { return leave(to: start, first, context, now) }
      if case .handshake(let head) = answer { return leave(to: head, context) }
      due.removeFirst()
      if let writing = first.writing, writing.whenWritten != nil { outgoing.append(writing) }
      let keepAlive = first.keepAlive && !(due.isEmpty && isOver) && !outputClosed
      answer.write(
        HTTPAnswer.Frame(
          allowedOrigin: first.allowedOrigin, keepAlive: keepAlive, withoutBody: first.withoutBody,
          date: service.date.text(now)),
        to: &out)
    }
    lastProgress = context.eventLoop.now
    if !insideRead, !flushScheduled {
      // Other answers of this turn may follow.
      flushScheduled = true
      context.eventLoop.assumeIsolated().execute {
        self.flushScheduled = false
        self.flush()
        self.arm()
      }
    }
  }

  func flush() {
    guard let context else { return }
    let isLast = due.isEmpty && isOver && !outputClosed
    if out.readableBytes > 0 {
      // This first: the write itself may say that the channel is full, and come back here.
      let (bytes, answers) = (out, outgoing)
      out = ByteBuffer()
      outgoing.removeAll()
      let written = isLast || !answers.isEmpty ? context.eventLoop.makePromise(of: Void.self) : nil
      written?.futureResult.assumeIsolated().whenComplete { result in
        let isWritten = if case .success = result { true } else { false }
        for answer in answers { answer.written(isWritten) }
        if isLast { self.finish() }
      }
      context.writeAndFlush(Self.wrapOutboundOut(bytes), promise: written)
    } else if isLast {
      finish()
    }
    if readHeldBack, !holdsBack(context) {
      readHeldBack = false
      context.read()
    }
  }

  /// The last answer is written: close our side, and the rest when the client has seen that. A close at once would
  /// reset the connection when anything of the client's is unread, and the answer with it.
  private func finish() {
    guard let context, !outputClosed else { return }
    outputClosed = true
    lastProgress = context.eventLoop.now
    if inputClosed { return context.close(promise: nil) }
    let closed = context.eventLoop.makePromise(of: Void.self)
    closed.futureResult.assumeIsolated().whenFailure { _ in self.context?.close(promise: nil) }
    context.close(mode: .output, promise: closed)
    arm()
  }

  private var isOver: Bool {
    if case .over = reading { return true }
    return false
  }

  // MARK: Back-pressure

  func read(context: ChannelHandlerContext) {
    if holdsBack(context) {
      readHeldBack = true
    } else {
      context.read()
    }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    lastProgress = context.eventLoop.now
    flush()
    arm()
    context.fireChannelWritabilityChanged()
  }

  /// Neither more requests than answers are waited for, nor more answers than are read.
  private func holdsBack(_ context: ChannelHandlerContext) -> Bool {
    due.count >= GatewayLimits.httpPipelinedMax || !context.channel.isWritable || isUpgrading
  }

  // MARK: Ends

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case is ChannelShouldQuiesceEvent: stop(context)
    case ChannelEvent.inputClosed:
      inputClosed = true
      reading = .over
      // Whoever asks and then says no more is answered. But who waits for something to happen has gone: what happens now would
      // count as told.
      if due.isEmpty || due.holdsSome { context.close(promise: nil) }
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  /// Take no new request; a half-read one is answered still.
  private func stop(_ context: ChannelHandlerContext) {
    quiescing = true
    guard case .nothing = reading else { return }
    if due.isEmpty { return context.close(promise: nil) }
    reading = .over
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard error is HTTPParserError else { return context.close(promise: nil) }
    guard !isOver else { return }
    if case HTTPParserError.headerOverflow = error { return refuse(HTTPConnection.headTooLarge, nil) }
    refuse(.error(CallError(.invalidArgument, "this is not an HTTP/1.1 request")), nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    leave()
    context.fireChannelInactive()
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    lastProgress = context.eventLoop.now
    arm()
  }

  func handlerRemoved(context: ChannelHandlerContext) { leave() }

  private func leave() {
    context = nil
    timer?.task.cancel()
    timer = nil
    for request in due.removeAll() {
      if request.answer == nil { request.writing?.abandoned() } else { request.writing?.written(false) }
    }
    for answer in outgoing { answer.written(false) }
    outgoing.removeAll()
    reading = .over
    isIdle = false
  }

  // MARK: Time

  /// When the present state has lasted too long. Moves with every read and answer, so the timer is only ever checked
  /// against it, and set anew when it would come too late.
  private func deadline(_ context: ChannelHandlerContext) -> NIODeadline {
    let limits = service.calls.access.current.settings.limits
    if outputClosed { return lastProgress + amount(GatewayLimits.httpLingerTimeMax) }
    if isLeaving || !context.channel.isWritable { return lastProgress + amount(GatewayLimits.httpWriteTimeMax) }
    switch reading {
    case .head(let since), .body(_, let since): return since + amount(limits.httpReadTime)
    case .nothing, .over:
      return lastProgress + amount(due.isEmpty ? limits.httpIdleTime : GatewayLimits.httpAnswerTimeMax)
    }
  }

  private func arm() {
    guard let context else { return }
    if case .nothing = reading { isIdle = due.allHaveLeft } else { isIdle = false }
    let at = deadline(context)
    if let timer {
      guard at < timer.at else { return }
      timer.task.cancel()
    }
    let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: at) {
      self.timer = nil
      guard let context = self.context else { return }
      if self.deadline(context) <= context.eventLoop.now { self.timeIsUp(context) }
      self.arm()
    }
    timer = (task, at)
  }

  private func timeIsUp(_ context: ChannelHandlerContext) {
    guard !outputClosed, !isLeaving, context.channel.isWritable else { return context.close(promise: nil) }
    switch reading {
    case .head, .body:
      let seconds = service.calls.access.current.settings.limits.httpReadTime.inSeconds
      refuse(.error(CallError(.invalidArgument, "the request did not arrive within \(seconds) s")), nil)
    case .nothing, .over:
      guard !due.isEmpty else { return context.close(promise: nil) }
      reading = .over
      let late = CallError(.deadlineExceeded, "no answer in time: it is not known whether the call took effect")
      due.answerRest(.error(late))
      writeAnswered()
    }
  }

  private func amount(_ duration: Duration) -> TimeAmount { .nanoseconds(duration.nanoseconds) }
}
