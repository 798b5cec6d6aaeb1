import AvaloCore
import NIOCore
import NIOWebSocket

/// Asks for the upgrade to WebSocket (RFC 6455 §4.1) and, when it is granted, makes room for frames and goes.
/// The first handler of its channel, on its event loop.
final class HandshakeHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let authority: String
  private let target: String
  private let key: [UInt8]
  private let end: any WebSocketEnd
  private var answer = ByteBuffer()
  private static let answerBytesMax = 16 << 10

  /// `nonce` is 16 random bytes.
  init(authority: String, target: String, nonce: [UInt8], end: any WebSocketEnd) {
    precondition(nonce.count == 16)
    self.authority = authority
    self.target = target
    key = Array(Base64.encode(nonce).utf8)
    self.end = end
  }

  func channelActive(context: ChannelHandlerContext) {
    end.connected(context.channel)
    let request = """
      GET \(target) HTTP/1.1\r
      Host: \(authority)\r
      Upgrade: websocket\r
      Connection: Upgrade\r
      Sec-WebSocket-Key: \(String(decoding: key, as: UTF8.self))\r
      Sec-WebSocket-Version: 13\r
      Sec-WebSocket-Protocol: avalo.v1\r
      \r\n
      """
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var buffer = unwrapInboundIn(data)
    answer.writeBuffer(&buffer)
    guard let head = endOfHead() else {
      if answer.readableBytes > HandshakeHandler.answerBytesMax { refuse(context, "an answer without end") }
      return
    }
    let text = answer.readString(length: head) ?? ""
    guard isGranted(text) else { return refuse(context, text + String(buffer: answer)) }
    do {
      let pipeline = context.pipeline.syncOperations
      try pipeline.addHandlers(
        [
          WebSocketFrameEncoder(),
          ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: ClientLimits.frameBytesMax)),
          NIOWebSocketFrameAggregator(
            minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 1_024,
            maxAccumulatedFrameSize: ClientLimits.frameBytesMax),
          end,
        ], position: .after(self))
    } catch {
      return refuse(context, "\(error)")
    }
    end.begin()
    // Frames may have come with the answer.
    if answer.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(answer)) }
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    end.neverOpened(.unreachable("the server closed the connection during the WebSocket handshake"))
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: Error) {
    end.neverOpened(.unreachable("the connection broke during the WebSocket handshake: \(describe(error))"))
    context.close(promise: nil)
  }

  private func refuse(_ context: ChannelHandlerContext, _ answer: String) {
    let oneLine = answer.split(whereSeparator: \.isNewline).joined(separator: " ").prefix(300)
    end.neverOpened(.broken("the server did not grant the WebSocket: \(oneLine)"))
    context.close(promise: nil)
  }

  private func isGranted(_ head: String) -> Bool {
    guard head.hasPrefix("HTTP/1.1 101") else { return false }
    let accept = Base64.encode(SHA1.digest(key + Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)))
    return head.split(whereSeparator: \.isNewline).contains { line in
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2, parts[0].lowercased() == "sec-websocket-accept" else { return false }
      return parts[1].drop(while: \.isWhitespace).elementsEqual(accept)
    }
  }

  private func endOfHead() -> Int? {
    let view = answer.readableBytesView
    return view.firstRange(of: Array("\r\n\r\n".utf8)).map { $0.upperBound - view.startIndex }
  }
}
