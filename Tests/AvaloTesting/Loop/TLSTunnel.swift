import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// Lets a `SocketProbe` speak TLS: what it writes goes through a socket pair and a TLS client to the server, and back. A
/// reader that stops is felt at the server: nothing is buffered here beyond the sockets.
public enum TLSTunnel {
  public static func clientContext() throws -> NIOSSLContext {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.certificateVerification = .none
    configuration.shutdownTimeout = .milliseconds(100)
    return try NIOSSLContext(configuration: configuration)
  }

  public static func connect(port: Int, on group: any EventLoopGroup, context: NIOSSLContext) throws -> SocketProbe {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
      throw SocketProbe.Failure.system("socketpair", errno)
    }
    let probe = SocketProbe(descriptor: ends[0])
    let eventLoop = group.next()
    let inner = try Half.bootstrap(eventLoop).withConnectedSocket(ends[1]).wait()
    // Joined before it connects: a server may answer with the end of the handshake.
    _ = try Half.bootstrap(eventLoop, tls: context, joining: inner).connect(host: "127.0.0.1", port: port).wait()
    return probe
  }

  /// What a new connection is shown: the server's certificate, in DER.
  public static func certificate(port: Int, on group: any EventLoopGroup, context: NIOSSLContext) throws -> [UInt8] {
    let shown = group.next().makePromise(of: [UInt8].self)
    let channel = try ClientBootstrap(group: shown.futureResult.eventLoop)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers([
            NIOSSLClientHandler(context: context, serverHostname: nil), Witness(shown),
          ])
        }
      }
      .connect(host: "127.0.0.1", port: port).wait()
    defer { channel.close(promise: nil) }
    return try shown.futureResult.wait()
  }

  private final class Witness: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let shown: EventLoopPromise<[UInt8]>

    init(_ shown: EventLoopPromise<[UInt8]>) { self.shown = shown }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      guard case TLSUserEvent.handshakeCompleted(_)? = event as? TLSUserEvent else { return }
      do {
        let handler = try context.pipeline.syncOperations.handler(type: NIOSSLClientHandler.self)
        shown.succeed(try handler.peerCertificate?.toDERBytes() ?? [])
      } catch {
        shown.fail(error)
      }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      shown.fail(error)
      context.close(promise: nil)
    }

    // A promise that was kept ignores this.
    func channelInactive(context: ChannelHandlerContext) { shown.fail(ChannelError.eof) }
  }

  private final class Half: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var context: ChannelHandlerContext?
    private var other: Half?
    private var wantsRead = false

    static func bootstrap(
      _ eventLoop: any EventLoop, tls: NIOSSLContext? = nil, joining other: (any Channel)? = nil
    ) -> ClientBootstrap {
      ClientBootstrap(group: eventLoop)
        .channelOption(.allowRemoteHalfClosure, value: true)
        .channelOption(.writeBufferWaterMark, value: .init(low: 4096, high: 16_384))
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            if let tls {
              try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: tls, serverHostname: nil))
            }
            let half = Half()
            if let other { half.join(try other.pipeline.syncOperations.handler(type: Half.self)) }
            try channel.pipeline.syncOperations.addHandler(half)
          }
        }
    }

    private func join(_ other: Half) {
      self.other = other
      other.other = self
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
      self.context = nil
      other = nil
    }

    // Reads only while the other side can write.
    func read(context: ChannelHandlerContext) {
      if let peer = other?.context, !peer.channel.isWritable { wantsRead = true } else { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
      if context.channel.isWritable { other?.resume() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      if let peer = other?.context { peer.writeAndFlush(data, promise: nil) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      if event as? ChannelEvent == .inputClosed { other?.context?.close(mode: .output, promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
      other?.context?.close(promise: nil)
      other = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      context.close(promise: nil)
    }

    private func resume() {
      if wantsRead {
        wantsRead = false
        context?.read()
      }
    }
  }
}
