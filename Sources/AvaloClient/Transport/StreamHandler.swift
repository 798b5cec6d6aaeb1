import NIOCore
import NIOHTTP1

/// A streamed call as the end of a link: asks, and reads what comes as it comes. Confined to its channel's event loop.
final class StreamHandler: ChannelInboundHandler, LinkEnd {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let request: HTTPRequest
  private let authority: String
  private let link: ChannelLink
  private let channel: any Channel
  private var events = EventStreamParser()
  /// What is answered in place of a stream, as far as it came.
  private var refusal: HTTPReply?

  init(_ request: HTTPRequest, authority: String, link: ChannelLink, channel: any Channel) {
    self.request = request
    self.authority = authority
    self.link = link
    self.channel = channel
  }

  // MARK: What the link asks

  /// What is processed is said by the positions of the next stream.
  func send(_ frame: ClientFrame) {}

  func close() { channel.close(promise: nil) }

  // MARK: What the server says

  func channelActive(context: ChannelHandlerContext) {
    link.attach(self, channel)
    for part in request.parts(for: authority) { context.write(wrapOutboundOut(part), promise: nil) }
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      let reply = HTTPReply(
        status: Int(head.status.code), headers: head.headers.map { (name: $0.name.lowercased(), value: $0.value) },
        body: [])
      refusal = reply.isEventStream ? nil : reply
    case .body(let part):
      if refusal == nil { return take(part.readableBytesView) }
      refusal?.body += part.readableBytesView
      guard let refusal, refusal.body.count > ClientLimits.refusalBytesMax else { return }
      end(TransportEnding(text: "the server answered HTTP \(refusal.status) without a stream, and without end"))
    case .end: end(refusal.map(StreamMessage.ending) ?? TransportEnding(text: "the stream ended without a word"))
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    link.ended(TransportEnding(text: "the connection broke"))
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: Error) { end(TransportEnding(text: describe(error))) }

  private func take(_ bytes: ByteBufferView) {
    do {
      let whole = try events.take(bytes)
      // A comment, or a part of an event.
      if whole.isEmpty { link.told(.alive) }
      for data in whole where !data.isEmpty {
        switch try StreamMessage(data) {
        case .frame(let frame): link.told(.frame(frame))
        case .ended(let ending): return end(ending)
        case .unknown: break
        }
      }
    } catch {
      end(TransportEnding(text: "the server sent an event that cannot be read: \(error)"))
    }
  }

  private func end(_ ending: TransportEnding) {
    link.ended(ending)
    channel.close(promise: nil)
  }
}
