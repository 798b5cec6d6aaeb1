import AvaloCore
import NIOCore
import NIOWebSocket

/// A WebSocket as the end of a link: frames in and out, and nothing decided. Confined to its channel's event loop.
final class WebSocketLinkHandler: ChannelInboundHandler, WebSocketEnd, LinkEnd {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  private let greeting: ClientFrame
  private let link: ChannelLink
  private let channel: any Channel
  /// While there are frames to write.
  private var context: ChannelHandlerContext?
  /// How long the server may take to say good-bye, too: only then is it sure to have read what was sent.
  private static let goodbyeGrace = TimeAmount.seconds(1)

  init(greeting: ClientFrame, link: ChannelLink, channel: any Channel) {
    self.greeting = greeting
    self.link = link
    self.channel = channel
  }

  // MARK: What the link asks

  func send(_ frame: ClientFrame) { write(.text, ByteBuffer(bytes: frame.text.bytes)) }

  func close() {
    guard let context else { return channel.close(promise: nil) }
    write(.connectionClose, ByteBuffer(integer: UInt16(1000)))
    context.eventLoop.scheduleTask(in: WebSocketLinkHandler.goodbyeGrace) { [channel] in channel.close(promise: nil) }
  }

  // MARK: What the server says

  func neverOpened(_ error: ClientError) { link.ended(TransportEnding(text: error.description)) }

  func connected(_ channel: any Channel) { link.attach(self, channel) }

  func begin() { send(greeting) }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    switch frame.opcode {
    case .text: take(Array(frame.unmaskedData.readableBytesView))
    case .ping:
      write(.pong, frame.unmaskedData)
      link.told(.alive)
    case .pong: link.told(.alive)
    case .connectionClose:
      var data = frame.unmaskedData
      let code = data.readInteger(as: UInt16.self)
      link.ended(TransportEnding(code: code.map(Int.init) ?? 1005, text: String(buffer: data)))
      write(.connectionClose, code.map { ByteBuffer(integer: $0) } ?? ByteBuffer())
      context.close(promise: nil)
    default: breakOff(1003, "a frame of kind \(frame.opcode)")
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    link.ended(TransportEnding(code: 1006, text: "the connection broke"))
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: Error) { breakOff(1006, describe(error)) }

  private func take(_ bytes: [UInt8]) {
    do {
      link.told(.frame(try ServerFrame(JSONText(validating: bytes))))
    } catch {
      breakOff(1007, "the server sent a frame that cannot be read: \(error)")
    }
  }

  private func breakOff(_ code: Int, _ why: String) {
    link.ended(TransportEnding(code: code, text: why))
    channel.close(promise: nil)
  }

  private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer) {
    guard let context else { return }
    let frame = WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
    context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
  }
}

/// Only asks whether the upgrade is granted, and goes.
final class WebSocketProbe: ChannelInboundHandler, WebSocketEnd {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  private let passed: EventLoopPromise<Bool>
  private var context: ChannelHandlerContext?

  init(_ passed: EventLoopPromise<Bool>) { self.passed = passed }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func begin() {
    passed.succeed(true)
    guard let context else { return }
    let goodbye = WebSocketFrame(
      fin: true, opcode: .connectionClose, maskKey: .random(), data: ByteBuffer(integer: UInt16(1000)))
    context.writeAndFlush(wrapOutboundOut(goodbye), promise: nil)
    context.close(promise: nil)
  }

  func connected(_ channel: any Channel) {}

  func neverOpened(_ error: ClientError) { passed.succeed(false) }
}
