import AvaloCore
import AvaloSystem
import NIOCore
import NIOHTTP1
import Synchronization

/// Whether this instance wants new work: false from the start of a drain.
public final class Health: Sendable {
  private let isDraining = Atomic<Bool>(false)

  public init() {}
  public var draining: Bool { isDraining.load(ordering: .relaxed) }
  /// From now on `/healthz` is 503, and every answer ends its connection.
  public func drain() { isDraining.store(true, ordering: .relaxed) }
}

/// Who is at the other end of a connection.
struct HTTPPeer {
  /// Numeric, without a port.
  var address: String
  /// Whether TLS ends here.
  var secure: Bool
  /// Whether the connection is among those of its address.
  var isCounted: Bool
}

/// The HTTP side of one event loop: what all its connections share. Confined to the loop.
public final class HTTPService {
  let calls: CallContext
  let health: Health
  /// `nil` where nothing is streamed.
  let streams: Streams?
  var date = HTTPDate()
  /// Connections between two requests: they may be closed at any moment.
  private(set) var idleCount = 0

  /// Where connections go that become streams, and where polls are held.
  struct Streams {
    let events: EventStreams
    let calls: EventStreams
    let polls: PollDesk
  }

  init(calls: CallContext, health: Health, streams: Streams? = nil) {
    self.calls = calls
    self.health = health
    self.streams = streams
    calls.polls = streams?.polls
  }

  /// Makes `channel` speak HTTP/1.1. On the channel's loop; bytes read before go to its pipeline from then on, each run
  /// followed by a `channelReadComplete`: answers leave at that point.
  /// - `secure`: whether TLS is in front.
  /// - `handshake`: how it becomes a WebSocket with a later request; `nil` where it cannot.
  func serve(_ channel: any Channel, secure: Bool, handshake: LaterHandshake? = nil) throws {
    channel.eventLoop.preconditionInEventLoop()
    let peer = handshake?.peer ?? PeerAddress()
    let connection = HTTPConnection(
      service: self, peer: HTTPPeer(address: peer.text(channel), secure: secure, isCounted: peer.isCounted),
      handshake: handshake)
    // A client may shut down its side behind its last request and still wants the answer.
    try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
    try channel.pipeline.syncOperations.addHandlers([
      HTTPGate(connection),
      ByteToMessageHandler(
        HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: HTTPService.decoderLimits)),
      connection,
    ])
  }

  func isIdle(_ isIdle: Bool) { idleCount += isIdle ? 1 : -1 }

  /// Takes everything out of a pipeline again that ``serve(_:secure:handshake:)`` put there. Not within a read. When it is
  /// done, the handler behind has got what was read and not parsed.
  @discardableResult
  static func leave(_ channel: any Channel) -> EventLoopFuture<Void> {
    let pipeline = channel.pipeline.syncOperations
    let left = channel.eventLoop.makePromise(of: Void.self)
    do {
      pipeline.removeHandler(try pipeline.handler(type: HTTPConnection.self), promise: nil)
      let gate = try pipeline.handler(type: HTTPGate.self)
      pipeline.removeHandler(try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self), promise: left)
      pipeline.removeHandler(gate, promise: nil)
    } catch {
      // The channel has ended, and its pipeline with it.
      channel.close(promise: nil)
      left.fail(error)
    }
    return left.futureResult
  }

  private static let decoderLimits = {
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderFieldSize = GatewayLimits.httpHeadBytesMax
    limits.maxHeaderListSize = GatewayLimits.httpHeadBytesMax
    limits.maxHeaderFieldCount = GatewayLimits.httpHeadersMax
    return limits
  }()
}

/// Shows bytes before they are parsed: the parser tells of a head only when it is complete.
final class HTTPGate: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  private let connection: HTTPConnection

  init(_ connection: HTTPConnection) { self.connection = connection }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    connection.arrived(Self.unwrapInboundIn(data), context.eventLoop.now)
    context.fireChannelRead(data)
  }
}
