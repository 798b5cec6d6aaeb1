import AvaloReactor
import NIOCore

/// Who is at the other end of a connection, for the handlers of one channel. Confined to its loop.
final class PeerAddress {
  /// What a trusted proxy said in front of everything else.
  var named: String?
  /// The connection's share of what its address may have; 0 when it has none, or has given it on.
  private var lease: UInt32 = 0
  /// Whether the connection was counted when it came: not behind a proxy, which names another address later.
  private(set) var isCounted = false

  /// Numeric, without a port; empty for what has no address.
  func text(_ channel: any Channel) -> String { named ?? channel.remoteAddress?.ipAddress ?? "" }

  /// Counts the connection for an address, for as long as the channel lives or the lease does that is taken from here.
  /// False when the address has its fill.
  func count(_ channel: any Channel, for address: String, in budget: AddressBudget) -> Bool {
    guard let admitted = budget.admit(address) else { return false }
    lease = admitted
    isCounted = true
    channel.closeFuture.assumeIsolated().whenComplete { _ in budget.release(self.takeLease()) }
    return true
  }

  /// For where the connection is to live: its end gives it back.
  func takeLease() -> UInt32 {
    defer { lease = 0 }
    return lease
  }
}

/// Takes a proxy's header off the front of a connection, before TLS, and remembers what it says; believes it of trusted
/// proxies alone. Then it is gone.
final class ProxyHeaderHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let proxies: TrustedProxies
  private let peer: PeerAddress
  private var held: ByteBuffer?
  private var isDone = false

  init(_ proxies: TrustedProxies, _ peer: PeerAddress) {
    self.proxies = proxies
    self.peer = peer
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if isDone { return context.fireChannelRead(data) }
    var buffer = unwrapInboundIn(data)
    if var before = held {
      before.writeBuffer(&buffer)
      buffer = before
      held = nil
    }
    guard proxies.contains(context.remoteAddress?.ipAddress ?? "") else { return pass(context, buffer) }
    switch buffer.withUnsafeReadableBytes({ ProxyHeader.parse($0) }) {
    case .absent: pass(context, buffer)
    case .incomplete: held = buffer
    case .bad: context.close(promise: nil)
    case .header(let source, let bytes):
      peer.named = source
      buffer.moveReaderIndex(forwardBy: bytes)
      pass(context, buffer)
    }
  }

  private func pass(_ context: ChannelHandlerContext, _ buffer: ByteBuffer) {
    isDone = true
    if buffer.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(buffer)) }
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }
}
