import AvaloWire
import NIOCore
import NIOPosix

/// A peer that says hello as it likes, byte by byte.
enum RawLink {
  /// What a server answers to the hello of a presence worker before it closes.
  static func refused(by path: String) async throws -> String {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let answer = loop.makePromise(of: String.self)
    let channel = try await ClientBootstrap(group: loop).channelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHandler(Collector(answer))
      }
    }.connect(unixDomainSocketPath: path).get()
    var writer = WireWriter()
    writer.frame(Hello(role: "presence", instance: "presence.0", incarnation: 1))
    try await channel.writeAndFlush(ByteBuffer(bytes: writer.bytes)).get()
    return try await answer.futureResult.get()
  }

  private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let answer: EventLoopPromise<String>
    private var received = ByteBuffer()

    init(_ answer: EventLoopPromise<String>) { self.answer = answer }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      var part = unwrapInboundIn(data)
      received.writeBuffer(&part)
    }
    func channelInactive(context: ChannelHandlerContext) {
      answer.succeed(String(decoding: received.readableBytesView, as: UTF8.self))
    }
  }
}
