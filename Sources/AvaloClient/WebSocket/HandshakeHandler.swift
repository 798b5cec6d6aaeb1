import CAvalo
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
  private let connection: ConnectionHandler
  private var answer = ByteBuffer()
  private static let answerBytesMax = 16 << 10

  /// `nonce` is 16 random bytes.
  init(authority: String, target: String, nonce: [UInt8], connection: ConnectionHandler) {
    precondition(nonce.count == 16)
    self.authority = authority
    self.target = target
    key = HandshakeHandler.base64(nonce)
    self.connection = connection
  }

  func channelActive(context: ChannelHandlerContext) {
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
          connection,
        ], position: .after(self))
    } catch {
      return refuse(context, "\(error)")
    }
    connection.begin()
    // Frames may have come with the answer.
    if answer.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(answer)) }
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    connection.neverOpened(.unreachable("the server closed the connection during the WebSocket handshake"))
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: Error) {
    connection.neverOpened(.unreachable("the connection broke during the WebSocket handshake: \(describe(error))"))
    context.close(promise: nil)
  }

  private func refuse(_ context: ChannelHandlerContext, _ answer: String) {
    let oneLine = answer.split(whereSeparator: \.isNewline).joined(separator: " ").prefix(300)
    connection.neverOpened(.broken("the server did not grant the WebSocket: \(oneLine)"))
    context.close(promise: nil)
  }

  private func isGranted(_ head: String) -> Bool {
    guard head.hasPrefix("HTTP/1.1 101") else { return false }
    var accept = [UInt8](repeating: 0, count: 28)
    avalo_websocket_accept(key, &accept)
    return head.split(whereSeparator: \.isNewline).contains { line in
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2, parts[0].lowercased() == "sec-websocket-accept" else { return false }
      return parts[1].drop(while: \.isWhitespace).utf8.elementsEqual(accept)
    }
  }

  private func endOfHead() -> Int? {
    let view = answer.readableBytesView
    return view.firstRange(of: Array("\r\n\r\n".utf8)).map { $0.upperBound - view.startIndex }
  }

  /// Sixteen bytes as twenty-four characters (RFC 4648 §4).
  private static func base64(_ bytes: [UInt8]) -> [UInt8] {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var out = [UInt8]()
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let part = bytes[start..<min(start + 3, bytes.count)]
      let bits = part.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - part.count))
      for place in 0..<4 {
        out.append(place <= part.count ? alphabet[bits >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
      }
    }
    return out
  }
}
