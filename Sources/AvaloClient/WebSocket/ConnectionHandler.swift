import AvaloCore
import NIOCore
import NIOWebSocket

/// The live end of one connection: reads frames, wakes who waits for answers, keeps the connection warm.
///
/// Made for one channel and confined to its event loop. It never reconnects and judges no offsets: that is
/// ``RealtimeClient``'s.
final class ConnectionHandler: ChannelInboundHandler, WebSocketEnd {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  private let greeting: ClientFrame?
  private let opened: EventLoopPromise<ServerFrame.Ready>
  private let closed: EventLoopPromise<CloseReason>
  private let frames: FrameQueue
  private var isReady = false
  private var reason: CloseReason?
  private var lastError: CallError?
  private var calls = PendingCalls<EventLoopPromise<JSONText>>()
  private var pings = PendingCalls<EventLoopPromise<Void>>()
  private var acknowledged: [String: Position] = [:]
  private var ackIsScheduled = false
  private var keepAlive: Scheduled<Void>?
  private var lastHeard = NIODeadline.now()
  private var context: ChannelHandlerContext?
  /// Acknowledgements within this time travel together.
  private static let ackGathering = TimeAmount.milliseconds(20)

  /// `opened` is told of `ready` or why it never came; `closed` how the connection ended after it.
  init(
    greeting: ClientFrame?, opened: EventLoopPromise<ServerFrame.Ready>, closed: EventLoopPromise<CloseReason>,
    frames: FrameQueue
  ) {
    self.greeting = greeting
    self.opened = opened
    self.closed = closed
    self.frames = frames
  }

  /// The handshake failed: this handler never was in the pipeline.
  func neverOpened(_ error: ClientError) {
    if reason != nil { return }
    reason = .broken(error.description)
    opened.fail(error)
    finish()
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func connected(_ channel: any Channel) { frames.attach(channel) }

  /// The pipeline is whole: frames can be written.
  func begin() {
    if let greeting { send(greeting) }
  }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  // MARK: What the owner asks, on the event loop

  func call(_ name: String, _ data: JSONText, _ answer: EventLoopPromise<JSONText>, timeout: TimeAmount) {
    guard let context, reason == nil else { return answer.fail(ClientError.closed(reason ?? .broken("not open"))) }
    guard let number = calls.add(answer) else {
      return answer.fail(ClientError.unreachable("\(ClientLimits.callsMax) calls wait for an answer already"))
    }
    send(.call(id: number, name: name, data: data))
    let deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
      self.calls.take(number: number)?.fail(ClientError.timedOut("\(name) was not answered in time"))
    }
    answer.futureResult.assumeIsolated().whenComplete { _ in deadline.cancel() }
  }

  func ping(_ answer: EventLoopPromise<Void>) {
    guard reason == nil, let number = pings.add(answer) else {
      return answer.fail(ClientError.closed(reason ?? .broken("not open")))
    }
    send(.ping(id: number))
  }

  func acknowledge(_ positions: [String: Position]) {
    acknowledged.merge(positions) { _, new in new }
    // The first goes at once, those that follow it soon go together.
    if !ackIsScheduled { flushAcknowledgements() }
  }

  func close(code: UInt16) {
    guard let context, reason == nil else { return }
    flushAcknowledgements()
    var data = ByteBuffer()
    data.write(webSocketErrorCode: WebSocketErrorCode(codeNumber: Int(code)))
    write(.connectionClose, data)
    reason = CloseReason(code: Int(code), text: "closed by this client")
    context.close(promise: nil)
  }

  // MARK: What the server says

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    lastHeard = .now()
    switch frame.opcode {
    case .text: take(Array(frame.unmaskedData.readableBytesView))
    case .ping: write(.pong, frame.unmaskedData)
    case .pong: break
    case .connectionClose:
      var data = frame.unmaskedData
      let code = data.readInteger(as: UInt16.self)
      if reason == nil { reason = CloseReason(code: code.map(Int.init) ?? 1005, text: String(buffer: data)) }
      write(.connectionClose, code.map { ByteBuffer(integer: $0) } ?? ByteBuffer())
      context.close(promise: nil)
    default: breakOff("a frame of kind \(frame.opcode)")
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    finish()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: Error) { breakOff(describe(error)) }

  private func take(_ bytes: [UInt8]) {
    let frame: ServerFrame
    do {
      frame = try ServerFrame(JSONText(validating: bytes))
    } catch {
      return breakOff("the server sent a frame that cannot be read: \(error)")
    }
    switch frame {
    case .ready(let ready) where !isReady:
      isReady = true
      scheduleKeepAlive(.milliseconds(Int64(ready.pingIntervalMilliseconds)))
      opened.succeed(ready)
    case .answer(let id, let result):
      calls.take(id)?.completeWith(result.mapError { ClientError.refused($0) })
    case .pong(let id):
      if let id { pings.take(id)?.succeed() }
    case .error(let error):
      lastError = error
      frames.push(frame)
    case .unknown: break
    case .ready, .event, .fact, .gap, .live, .unsubscribed, .goaway, .expiring:
      frames.push(frame)
    }
  }

  private func breakOff(_ why: String) {
    if reason == nil { reason = .broken(why) }
    context?.close(promise: nil)
  }

  /// The connection has ended: everyone who waits is told, once.
  private func finish() {
    let reason = reason ?? .broken("the connection broke")
    self.reason = reason
    keepAlive?.cancel()
    opened.fail(lastError.map { ClientError.refused($0) } ?? ClientError.closed(reason))
    for call in calls.takeAll() { call.fail(ClientError.closed(reason)) }
    for ping in pings.takeAll() { ping.fail(ClientError.closed(reason)) }
    closed.succeed(reason)
    frames.finish()
  }

  // MARK: Writing

  /// A ping an interval, and an end when nothing was heard for an interval and a grace.
  private func scheduleKeepAlive(_ interval: TimeAmount) {
    guard let context, interval > .zero else { return }
    keepAlive = context.eventLoop.assumeIsolated().scheduleTask(in: interval) {
      let silence = NIODeadline.now() - self.lastHeard
      if silence > interval + .milliseconds(Int64(ClientLimits.pingGraceMilliseconds)) {
        return self.breakOff("the server has been silent for too long")
      }
      self.send(.ping(id: nil))
      self.scheduleKeepAlive(interval)
    }
  }

  private func flushAcknowledgements() {
    ackIsScheduled = false
    guard !acknowledged.isEmpty, let context else { return }
    send(.acknowledge(acknowledged))
    acknowledged = [:]
    ackIsScheduled = true
    context.eventLoop.assumeIsolated().scheduleTask(in: ConnectionHandler.ackGathering) { self.flushAcknowledgements() }
  }

  private func send(_ frame: ClientFrame) { write(.text, ByteBuffer(bytes: frame.text.bytes)) }

  private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer) {
    let frame = WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
    context?.writeAndFlush(wrapOutboundOut(frame), promise: nil)
  }
}
