import AvaloCore
import NIOCore
import NIOEmbedded
import NIOPosix
import Testing

@testable import AvaloClient

@Suite(.timeLimit(.minutes(1))) struct WebSocketTransportTests {
  private let opening = TransportOpening(
    endpoint: .tcp(host: "127.0.0.1", port: 9), request: ConnectRequest(.token("t"), deviceID: "d"))

  /// A channel as it is made for one address of the server.
  private func attempt(_ link: ChannelLink, _ loop: EmbeddedEventLoop) throws -> EmbeddedChannel {
    let channel = EmbeddedChannel(handler: nil, loop: loop)
    link.trying(channel)
    let end = WebSocketLinkHandler(greeting: .connect(opening.request), link: link, channel: channel)
    try WebSocketTransport().addHandlers(to: channel, for: opening.endpoint, end)
    return channel
  }

  private func grant(_ channel: EmbeddedChannel) throws {
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 9)).wait()
    let request = String(buffer: try #require(try channel.readOutbound(as: ByteBuffer.self)))
    let key = try #require(request.firstMatch(of: /Sec-WebSocket-Key: (\S+)/)).1
    let accept = Base64.encode(SHA1.digest(Array("\(key)258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)))
    try channel.writeInbound(
      ByteBuffer(string: "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: \(accept)\r\n\r\n"))
  }

  private func written(_ channel: EmbeddedChannel) throws -> Int {
    var count = 0
    while try channel.readOutbound(as: ByteBuffer.self) != nil { count += 1 }
    return count
  }

  /// With addresses of several kinds the next one is tried beside one that is slow (RFC 8305).
  @Test func speaksOverTheChannelThatReachedTheServer() throws {
    let loop = EmbeddedEventLoop()
    let link = ChannelLink { _ in }
    let slow = try attempt(link, loop)
    let other = try attempt(link, loop)
    try grant(slow)
    #expect(try written(slow) > 0)
    link.send(.acknowledge(["user:u": Position(epoch: Epoch(rawValue: 1), offset: 1)]))
    loop.run()
    let acknowledged = try written(slow)
    #expect(acknowledged > 0)
    link.close()
    loop.run()
    let goodbye = try written(slow)
    #expect(goodbye > 0)
    loop.advanceTime(by: .seconds(2))
    #expect(!slow.isActive)
    let unused = try written(other)
    #expect(unused == 0)
  }

  @Test func closedBeforeAnyIsReachedClosesAll() throws {
    let loop = EmbeddedEventLoop()
    let link = ChannelLink { _ in }
    let first = try attempt(link, loop)
    link.close()
    let second = try attempt(link, loop)
    loop.run()
    try first.closeFuture.wait()
    try second.closeFuture.wait()
  }

  @Test func whatSwallowsTheUpgradeDoesNotPassAndKeepsNothing() async throws {
    let ended = Mailbox<Void>()
    let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.closeFuture.whenComplete { _ in ended.put(()) }
        return channel.eventLoop.makeSucceededVoidFuture()
      }
      .bind(host: "127.0.0.1", port: 0).get()
    var opening = opening
    opening.endpoint = .tcp(host: "127.0.0.1", port: try #require(server.localAddress?.port))
    #expect(await !WebSocketTransport().passes(opening, within: .milliseconds(100)))
    try await ended.next()
    try await server.close()
  }
}
