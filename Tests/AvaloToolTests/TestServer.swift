import AvaloClient
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// A server of the client protocol's carriers, real sockets and all, whose every word a test decides.
final class TestServer: Sendable {
  /// What a connection's other end did.
  enum Happening: Sendable {
    case opened(target: String)
    case text(JSONText)
    case closed(code: Int?)
    case request(HTTPRequest)
  }

  private let channel: any Channel
  var port: Int { channel.localAddress?.port ?? 0 }
  var endpoint: Endpoint { .tcp(host: "127.0.0.1", port: port) }

  /// `answer` runs on the connection's event loop.
  ///
  /// - `isPipelined`: tells of a request that comes before the one before it is answered; then the test sees to the order.
  static func start(
    unixPath: String? = nil, isPipelined: Bool = false, _ answer: @escaping @Sendable (TestPeer, Happening) -> Void
  ) async throws -> TestServer {
    let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.backlog, value: 4_096)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let peer = TestPeer(channel: channel)
          let http = TestHTTPHandler { answer(peer, .request($0)) }
          let upgrader = NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, head in
              channel.eventLoop.makeSucceededFuture(
                head.uri.hasPrefix("/ws") ? ["Sec-WebSocket-Protocol": "avalo.v1"] : nil)
            },
            upgradePipelineHandler: { channel, head in
              channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                try pipeline.addHandler(TestWebSocketHandler { answer(peer, $0) })
                answer(peer, .opened(target: head.uri))
                // An upgraded connection has no use for it.
                pipeline.removeHandler(try pipeline.handler(type: TestHTTPHandler.self), promise: nil)
              }
            })
          try channel.pipeline.syncOperations.configureHTTPServerPipeline(
            withPipeliningAssistance: !isPipelined,
            withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in }))
          try channel.pipeline.syncOperations.addHandler(http)
        }
      }
    let channel =
      if let unixPath {
        try await bootstrap.bind(unixDomainSocketPath: unixPath).get()
      } else {
        try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
      }
    return TestServer(channel)
  }

  private init(_ channel: any Channel) { self.channel = channel }

  func stop() async throws { try await channel.close() }
}

/// The server's end of one connection.
struct TestPeer: Sendable {
  let channel: any Channel

  func say(_ text: String) { write(WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(string: text))) }

  /// In several fragments, with a ping between them.
  func sayInPieces(_ text: String) {
    let bytes = Array(text.utf8)
    let middle = bytes.count / 2
    write(WebSocketFrame(fin: false, opcode: .text, data: ByteBuffer(bytes: bytes[..<middle])))
    write(WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer(string: "still there?")))
    write(WebSocketFrame(fin: true, opcode: .continuation, data: ByteBuffer(bytes: bytes[middle...])))
  }

  func close(code: Int, text: String = "") {
    var data = ByteBuffer()
    data.write(webSocketErrorCode: WebSocketErrorCode(codeNumber: code))
    data.writeString(text)
    write(WebSocketFrame(fin: true, opcode: .connectionClose, data: data))
    channel.close(promise: nil)
  }

  func drop() { channel.close(promise: nil) }

  func reply(_ status: Int, _ body: String, headers: [(String, String)] = []) {
    var head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status))
    head.headers.add(name: "Content-Length", value: "\(body.utf8.count)")
    for (name, value) in headers { head.headers.add(name: name, value: value) }
    channel.write(HTTPServerResponsePart.head(head), promise: nil)
    channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: body))), promise: nil)
    channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
  }

  /// Begins an answer that comes in parts.
  func beginStream() {
    var head = HTTPResponseHead(version: .http1_1, status: .ok)
    head.headers.add(name: "Content-Type", value: "text/event-stream; charset=utf-8")
    channel.writeAndFlush(HTTPServerResponsePart.head(head), promise: nil)
  }

  /// A part of it, on its own.
  func stream(_ bytes: some Sequence<UInt8>) {
    channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: bytes))), promise: nil)
  }

  /// A frame in a streamed call.
  func stream(message: String) { stream("data: {\"message\":\(message)}\n\n".utf8) }

  func endStream() { channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil) }

  /// `ready` for user `u` with the given topics.
  func sayReady(user: String = "u", topics: [String] = ["user:u"], pingInterval: Int = 25_000) {
    let list = topics.map { #""\#($0)""# }.joined(separator: ",")
    say(
      #"{"ready":{"connectionId":"c1","userId":"\#(user)","deviceId":"d1","subscriptions":[\#(list)],"denied":[],"#
        + #""pingInterval":\#(pingInterval),"serverTime":1,"expiresAt":null}}"#)
  }

  func sayEvent(_ offset: Int, topic: String = "user:u", epoch: String? = nil, payload: String = "{}") {
    let epoch = epoch.map { #","epoch":"\#($0)""# } ?? ""
    say(
      #"{"event":{"eventId":"e\#(offset)","type":"chat_message","payload":\#(payload),"timestamp":1},"#
        + #""topic":"\#(topic)"\#(epoch),"offset":\#(offset)}"#)
  }

  private func write(_ frame: WebSocketFrame) { channel.writeAndFlush(frame, promise: nil) }
}

private final class TestWebSocketHandler: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  private let tell: (TestServer.Happening) -> Void
  private var saidClose = false

  init(_ tell: @escaping (TestServer.Happening) -> Void) { self.tell = tell }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    var bytes = frame.unmaskedData
    switch frame.opcode {
    case .text:
      guard frame.maskKey != nil, let text = try? JSONText(validating: bytes.readableBytesView) else {
        return tell(.closed(code: -1))
      }
      tell(.text(text))
    case .connectionClose:
      saidClose = true
      tell(.closed(code: bytes.readInteger(as: UInt16.self).map(Int.init)))
      context.close(promise: nil)
    default: break
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    if !saidClose { tell(.closed(code: nil)) }
  }
}

private final class TestHTTPHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  private let tell: (HTTPRequest) -> Void
  private var head: HTTPRequestHead?
  private var body = [UInt8]()

  init(_ tell: @escaping (HTTPRequest) -> Void) { self.tell = tell }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): (self.head, body) = (head, [])
    case .body(let part): body += part.readableBytesView
    case .end:
      guard let head else { return }
      let headers = head.headers.map { (name: $0.name.lowercased(), value: $0.value) }
      tell(HTTPRequest(head.method.rawValue, head.uri, headers: headers, body: body))
    }
  }
}
