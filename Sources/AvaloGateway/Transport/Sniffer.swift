import AvaloReactor
import NIOCore
import NIOHTTP1

/// The first handler of an accepted connection (behind TLS, if there is any). It collects the request's head, and then is
/// gone: the connection becomes a WebSocket, on a reactor or on this loop; or everything read so far is replayed to an
/// HTTP pipeline. It decides on the raw bytes, in `channelRead`: behind an HTTP decoder, which reads ahead, half-closed peers
/// would be lost. Where HTTP was there first, what it read ahead comes from ``LaterHandshake``.
final class Sniffer: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let door: FrontDoor
  private let isPlain: Bool
  private let peer: PeerAddress
  private var held: ByteBuffer?
  private var deadline: Scheduled<Void>?
  private var isDecided = false
  /// The answer is no, and on its way: what still comes is thrown away.
  private var isRefusing = false
  /// What comes is kept until ``resume(_:)``.
  private var isWaiting = false

  /// `isPlain`: bytes on the wire are the bytes seen here, so that the socket itself can be given away.
  init(_ door: FrontDoor, isPlain: Bool, _ peer: PeerAddress = PeerAddress()) {
    self.door = door
    self.isPlain = isPlain
    self.peer = peer
  }

  /// Of a connection that carried requests: `head` is that of the next one, which HTTP has read.
  convenience init(_ door: FrontDoor, isPlain: Bool, _ peer: PeerAddress, resuming head: ByteBuffer) {
    self.init(door, isPlain: isPlain, peer)
    held = head
    isWaiting = true
  }

  /// HTTP has left the pipeline.
  func resume(_ context: ChannelHandlerContext) {
    isWaiting = false
    channelRead(context: context, data: wrapInboundOut(ByteBuffer()))
  }

  // MARK: Reading

  func handlerAdded(context: ChannelHandlerContext) {
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    deadline = context.eventLoop.scheduleTask(in: door.headTimeMax) {
      let (sniffer, context) = bound.value
      if !sniffer.isDecided { sniffer.giveUp(context) }
    }
  }

  func channelActive(context: ChannelHandlerContext) {
    if let addresses = door.addresses, let address = door.acceptedAddress(peer.text(context.channel)),
      !peer.count(context.channel, for: address, in: addresses)
    {
      door.observe(.addressFull)
      respond(context, PlainResponse(.tooManyFromAddress(addresses.connectionsPerAddressMax)))
    }
    context.fireChannelActive()
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    deadline?.cancel()
    deadline = nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if isRefusing { return }
    if isDecided { return context.fireChannelRead(data) }
    var buffer = unwrapInboundIn(data)
    if var before = held {
      before.writeBuffer(&buffer)
      buffer = before
      held = nil
    }
    if isWaiting { return held = buffer }
    switch buffer.withUnsafeReadableBytes({ UpgradeHead.parse($0) }) {
    case .incomplete:
      held = buffer
    case .foreign:
      becomeHTTP(context, buffer)
    case .bad(let fault):
      door.observe(.malformed)
      refuse(context, fault, buffer)
    case .upgrade(var request, let key, let consumed):
      guard request.path == door.path else { return becomeHTTP(context, buffer) }
      buffer.moveReaderIndex(forwardBy: consumed)
      request.peerAddress = peer.text(context.channel)
      decide(context, request, key, early: Array(buffer.readableBytesView))
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if isRefusing, event as? ChannelEvent == .inputClosed { return context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A reset, or a TLS handshake that failed: nobody is there to be told.
    giveUp(context)
  }

  // MARK: Deciding

  private func decide(_ context: ChannelHandlerContext, _ request: UpgradeRequest, _ key: [UInt8], early: [UInt8]) {
    // Cheap refusals first: a storm must not cost a token check each.
    var lease = peer.takeLease()
    if !peer.isCounted, let addresses = door.addresses {
      guard let admitted = addresses.admit(door.countedAddress(request)) else {
        door.observe(.addressFull)
        return respond(context, PlainResponse(.tooManyFromAddress(addresses.connectionsPerAddressMax)))
      }
      lease = admitted
    }
    switch door.policy(request) {
    case .refuse(let status, let headers, let body):
      door.addresses?.release(lease)
      door.observe(.refused(status: status))
      respond(context, PlainResponse(status: status, headers: headers, body: body))
    case .accept(let subprotocol):
      let response = UpgradeHead.acceptResponse(key: key, subprotocol: subprotocol)
      if isPlain, let reactor = door.reactor {
        handOver(context, Upgrade(request: request, response: response, early: early, addressLease: lease), to: reactor)
      } else {
        stay(context, Upgrade(request: request, response: response, early: early, addressLease: lease))
      }
    }
  }

  private func handOver(_ context: ChannelHandlerContext, _ upgrade: Upgrade, to reactor: ReactorHandle) {
    isDecided = true
    guard let descriptor = Handoff.take(context) else {
      door.addresses?.release(upgrade.addressLease)
      // The peer is gone, or there is no descriptor left for the duplicate: the connection cannot be kept either way.
      door.observe(context.channel.isActive ? .overloaded : .abandoned)
      return context.close(promise: nil)
    }
    let isTaken = reactor.adopt(
      descriptor: descriptor, response: upgrade.response, early: upgrade.early, request: upgrade.request,
      addressLease: upgrade.addressLease)
    if !isTaken {
      door.addresses?.release(upgrade.addressLease)
      Handoff.refuse(descriptor, PlainResponse.noRoom)
    }
    door.observe(isTaken ? .accepted : .overloaded)
  }

  private func stay(_ context: ChannelHandlerContext, _ upgrade: Upgrade) {
    guard context.channel.isActive, let transport = door.transports.transport(on: context.eventLoop) else {
      door.addresses?.release(upgrade.addressLease)
      door.observe(context.channel.isActive ? .overloaded : .abandoned)
      return respond(context, .noRoom)
    }
    isDecided = true
    let handler = NIOTransportHandler(transport)
    do {
      try context.pipeline.syncOperations.addHandler(handler, position: .after(self))
    } catch {
      door.addresses?.release(upgrade.addressLease)
      door.observe(.abandoned)
      return context.close(promise: nil)
    }
    if transport.adopt(handler, upgrade) {
      door.observe(.accepted)
      context.pipeline.syncOperations.removeHandler(self, promise: nil)
    } else {
      door.addresses?.release(upgrade.addressLease)
      door.observe(.overloaded)
      respond(context, .noRoom)
    }
  }

  private func becomeHTTP(_ context: ChannelHandlerContext, _ buffer: ByteBuffer) {
    isDecided = true
    do {
      try door.http(context.channel, LaterHandshake(door: door, isPlain: isPlain, peer: peer))
    } catch {
      return context.close(promise: nil)
    }
    context.fireChannelRead(wrapInboundOut(buffer))
    context.fireChannelReadComplete()
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }

  // MARK: Refusing

  private func refuse(_ context: ChannelHandlerContext, _ fault: UpgradeHead.Fault, _ unread: ByteBuffer) {
    var response = PlainResponse.error(fault.status, "INVALID_ARGUMENT", fault.reason)
    response.headers += unread.withUnsafeReadableBytes { door.corsHeaders($0) }
    if fault == .version { response.headers.append(("Sec-WebSocket-Version", "13")) }
    respond(context, response)
  }

  /// Answers, closes our side, and the rest when the client has seen that: a close at once would reset the connection when
  /// anything of the client's is unread, and the answer with it.
  private func respond(_ context: ChannelHandlerContext, _ response: PlainResponse) {
    isDecided = true
    isRefusing = true
    held = nil
    deadline?.cancel()
    // Fails when the client is gone, and then there is nobody to wait for.
    try? context.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    deadline = context.eventLoop.scheduleTask(in: TransportLimits.lingerTimeMax) { bound.value.close(promise: nil) }
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: response.bytes))).whenComplete { _ in
      bound.value.close(mode: .output, promise: nil)
    }
  }

  private func giveUp(_ context: ChannelHandlerContext) {
    isDecided = true
    held = nil
    context.close(promise: nil)
  }
}

/// An accepted handshake on its way to where it will live.
struct Upgrade {
  var request: UpgradeRequest
  var response: [UInt8]
  /// What came after the request's head.
  var early: [UInt8]
  var addressLease: UInt32
}
