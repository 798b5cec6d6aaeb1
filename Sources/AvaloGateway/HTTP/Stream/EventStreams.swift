import AvaloCore
import AvaloReactor
import NIOCore

/// The streams of one face on one event loop: the transport that carries them and the hub that feeds them. Confined to
/// that loop.
final class EventStreams {
  let face: Face
  private let transport: NIOTransport
  private let hub: Hub
  private let addresses: AddressBudget?

  /// On the event loop.
  init(
    _ face: Face, loop: UInt8, on eventLoop: any EventLoop, settings: LoopSettings, addresses: AddressBudget?,
    making: HubMaking, clock: LoopClock = .monotonic
  ) throws {
    self.face = face
    self.addresses = addresses
    var made: Hub?
    transport = try NIOTransport(
      eventLoop, settings: settings, framing: face.framing, addresses: addresses, clock: clock
    ) { transport in
      let hub = making.hub(
        loop: loop, transport.writer, Mailbox<HubMail>(transport.waker), face, transport: face.transport)
      made = hub
      return hub
    }
    guard let made else { preconditionFailure("a transport makes its application") }
    hub = made
  }

  var mailbox: Mailbox<HubMail> { hub.mailbox }
  var connectionCount: Int { transport.connectionCount }

  /// Why a stream is refused before anything is given up for it; `nil` when it may begin.
  func refusal(_ identity: Identity, _ request: ConnectRequest) -> CallError? {
    guard transport.hasRoom else {
      return CallError(.unavailable, "this instance has no room for another stream", retryAfterMilliseconds: 1000)
    }
    let topics = request.topics(of: identity)
    guard topics.count <= HubLimits.streamTopicsMax else {
      return CallError(
        .invalidArgument, "a stream may have \(HubLimits.streamTopicsMax) topics, and these are \(topics.count)")
    }
    return nil
  }

  /// Makes an HTTP connection, whose handlers leave its pipeline, a stream of `start`'s user. The answer follows when the
  /// session is ready, or is refused.
  func take(_ context: ChannelHandlerContext, _ start: StreamStart, _ answer: StreamAnswer) {
    let channel = context.channel
    var lease: UInt32 = 0
    if let addresses, let address = start.address {
      guard let admitted = addresses.admit(AddressRange.household(of: address)) else {
        let error = CallError.tooManyFromAddress(addresses.connectionsPerAddressMax)
        hub.metrics.limits(.connectionsPerAddress).add(1)
        return refuse(channel, answer, error)
      }
      lease = admitted
    }
    let handler = NIOTransportHandler(transport)
    do {
      try channel.pipeline.syncOperations.addHandler(handler)
      try channel.syncOptions?.setOption(
        .tcpOption(EventStreams.userTimeout), value: transport.unacknowledgedMilliseconds)
    } catch {
      addresses?.release(lease)
      return channel.close(promise: nil)  // it is closed already
    }
    let upgrade = Upgrade(request: UpgradeRequest(path: "/events"), response: [], early: [], addressLease: lease)
    guard transport.adopt(handler, upgrade), let connection = handler.connection else {
      addresses?.release(lease)
      return refuse(channel, answer, .noRoom)
    }
    hub.begin(connection, start.identity, start.request, answer: answer)
  }

  func stop() { transport.stop() }

  /// TCP_USER_TIMEOUT (tcp(7)): a peer that acknowledges no heartbeat for that long is gone. Nobody else would notice: it
  /// is never asked for a sign of life.
  private static let userTimeout = NIOBSDSocket.Option(rawValue: 18)

  private func refuse(_ channel: any Channel, _ answer: StreamAnswer, _ error: CallError) {
    channel.writeAndFlush(ByteBuffer(bytes: answer.refused(error))).whenComplete { _ in channel.close(promise: nil) }
  }
}

extension HTTPService.Streams {
  /// All kinds, as loops 3 to 5. On the event loop.
  init(
    on eventLoop: any EventLoop, settings: LoopSettings, addresses: AddressBudget?, making: HubMaking
  ) throws {
    events = try EventStreams(
      .eventStream, loop: 3, on: eventLoop, settings: settings, addresses: addresses, making: making)
    calls = try EventStreams(
      .callStream, loop: 4, on: eventLoop, settings: settings, addresses: addresses, making: making)
    polls = try PollDesk(loop: 5, on: eventLoop, settings: settings, addresses: addresses, making: making)
  }

  var mailboxes: [Mailbox<HubMail>] { [events.mailbox, calls.mailbox, polls.mailbox] }
  var connectionCount: Int { events.connectionCount + calls.connectionCount + polls.connectionCount }

  func stop() {
    events.stop()
    calls.stop()
    polls.stop()
  }
}

extension CallError {
  static func tooManyFromAddress(_ max: Int) -> CallError {
    .over(
      .connectionsPerAddress, max: max, "there are \(max) connections from this address already",
      retryAfterMilliseconds: TransportLimits.retryAfterSeconds * 1000)
  }
  fileprivate static let noRoom = CallError(
    .unavailable, "this instance has no room for another stream", retryAfterMilliseconds: 1000)
}
