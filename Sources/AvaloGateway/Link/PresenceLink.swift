import AvaloCore
import AvaloLink
import AvaloReactor
import AvaloSystem
import AvaloWire
import Logging
import NIOCore

/// The gateway's one link to the presence worker: tells it of sessions, asks it who is here and how, and hands what the
/// hubs watch to them, unread.
///
/// Confined to the gateway's NIO loop. A new link begins with a snapshot of every hub's sessions; while there is no
/// link nothing of sessions is kept, since the next snapshot says it all.
final class PresenceLink: LinkDelegate {
  private let eventLoop: any EventLoop
  /// By loop number, less one. Set before the link is started.
  var hubs: [Mailbox<HubMail>] = []
  private let clock: MonotonicClock
  private let log: Logger
  private let metrics: GatewayMetrics
  private var client: LinkClient?
  private var link: Link?
  /// Hubs whose part of the snapshot is still to come.
  private var snapshotsOwed = 0
  private var pending: PendingRequests<any WireMessage>
  private var removals = FreshRemovals()
  private var sweep: RepeatedTask?

  init(eventLoop: any EventLoop, clock: MonotonicClock, metrics: GatewayMetrics, log: Logger) {
    self.eventLoop = eventLoop
    self.clock = clock
    self.metrics = metrics
    self.log = log
    pending = PendingRequests(max: GatewayLimits.presenceQueriesInFlightMax)
  }

  func start(_ client: LinkClient) {
    eventLoop.preconditionInEventLoop()
    self.client = client
    client.start()
    sweep = eventLoop.scheduleRepeatedTask(initialDelay: .milliseconds(250), delay: .milliseconds(250)) {
      [weak self] _ in
      guard let self else { return }
      if link != nil { removals.forgetWritten(at: self.clock.now) }
      for entry in pending.expired(nowNanoseconds: self.clock.now.nanoseconds) {
        entry.complete(.failure(.presenceAway))
      }
    }
  }

  func stop() {
    eventLoop.preconditionInEventLoop()
    sweep?.cancel()
    client?.stop()
    for entry in pending.removeAll() { entry.complete(.failure(.presenceAway)) }
  }

  /// Asks something; answers on the loop, once.
  func request(_ request: some WireRequest, _ complete: @escaping (Result<any WireMessage, CallError>) -> Void) {
    eventLoop.preconditionInEventLoop()
    guard let link, !pending.isFull else { return complete(.failure(.presenceAway)) }
    let correlation = pending.nextCorrelation()
    var writer = WireWriter()
    writer.frame(request, correlation: correlation)
    pending.insert(
      .init(
        correlation: correlation, frame: [],
        deadlineNanoseconds: (clock.now + GatewayLimits.presenceTimeout).nanoseconds, complete: complete))
    link.send(writer.take())
  }

  /// Says something that is not answered.
  func tell(_ message: some WireMessage) -> Result<Void, CallError> {
    eventLoop.preconditionInEventLoop()
    guard let link else { return .failure(.presenceAway) }
    link.send(message)
    return .success(())
  }

  /// Said now, if there is a link, and with each new one until the worker's file has it.
  func tellForGood(_ ended: PartnershipsEnded) {
    eventLoop.preconditionInEventLoop()
    removals.append(ended, at: clock.now)
    link?.send(ended)
  }

  func breakLink(reason: String) {
    eventLoop.preconditionInEventLoop()
    link?.close(reason: reason)
  }

  /// Sends what a hub wrote; dropped without a link.
  func forward(_ frames: [UInt8], snapshotEnds: Bool) {
    eventLoop.preconditionInEventLoop()
    guard let link else { return }
    if !frames.isEmpty { link.send(frames) }
    guard snapshotEnds, snapshotsOwed > 0 else { return }
    snapshotsOwed -= 1
    guard snapshotsOwed == 0 else { return }
    var writer = WireWriter()
    writer.frame(SessionsEnd())
    link.send(writer.take())
  }

  // MARK: - LinkDelegate

  func linkOpened(_ link: Link, welcome: Welcome?) {
    self.link = link
    log.notice("link to presence up")
    metrics.linksUp.with("presence").set(1)
    // This first: whoever asks or watches is told what is true after it.
    for ended in removals.takeForLink(at: clock.now) { link.send(ended) }
    snapshotsOwed = hubs.count
    for hub in hubs { hub.post(.presenceUp) }
  }

  func linkClosed(_ link: Link, reason: String) {
    guard self.link === link else { return }
    self.link = nil
    log.warning("link to presence lost", metadata: ["reason": "\(reason)"])
    metrics.linksUp.with("presence").set(0)
    metrics.linksLost.with("presence").add(1)
    removals.forgetWritten(at: clock.now)
    for hub in hubs { hub.post(.presenceDown) }
    for entry in pending.removeAll() { entry.complete(.failure(.presenceAway)) }
  }

  func linkDrained(_ link: Link) {}

  func link(_ link: Link, received frames: ByteBuffer) {
    guard self.link === link else { return }
    // What is for the hubs goes to them in runs, sharing the bytes; a hub leaves out what is not its own.
    var runStart = frames.readerIndex
    var runFor = Destination.gateway
    var index = frames.readerIndex
    func handOver() {
      defer { runStart = index }
      guard runStart < index, let slice = frames.getSlice(at: runStart, length: index - runStart) else { return }
      switch runFor {
      case .gateway: break
      case .hub(let loop): hubs[Int(loop) - 1].post(.presence(slice))
      case .allHubs: for hub in hubs { hub.post(.presence(slice)) }
      }
    }
    link.walk(frames) { head, body in
      let destination = try self.destination(of: head, body)
      if destination != runFor { handOver() }
      runFor = destination
      if destination == .gateway { try self.answered(head, body) }
      index += Frame.headBytes + head.bodyBytes
    }
    handOver()
  }

  private enum Destination: Equatable {
    case gateway, allHubs
    case hub(UInt8)
  }

  private func destination(of head: Frame.Head, _ body: UnsafeRawBufferPointer) throws(WireError) -> Destination {
    switch head.kind {
    case .presenceChanged: try destination(of: PresenceChanged.handles(body))
    case .presenceUnwatched: try destination(of: PresenceUnwatched(body: body).handles)
    case .typingChanged, .describeSessions, .endSessions: .allHubs
    default: .gateway
    }
  }

  private func destination(of handles: [UInt32]) throws(WireError) -> Destination {
    guard let loop = handles.first.map({ $0 >> 24 }), handles.allSatisfy({ $0 >> 24 == loop }) else { return .allHubs }
    guard loop >= 1, loop <= hubs.count else { throw .malformed("loop \(loop)") }
    return .hub(UInt8(loop))
  }

  private func answered(_ head: Frame.Head, _ body: UnsafeRawBufferPointer) throws(WireError) {
    let result: Result<any WireMessage, CallError> =
      switch head.kind {
      case .presenceAnswer: .success(try PresenceAnswer(body: body))
      case .presenceSet: .success(try PresenceSet(body: body))
      case .presenceErased: .success(try PresenceErased(body: body))
      case .onlineUsers: .success(try OnlineUsers(body: body))
      case .connectionList: .success(try ConnectionList(body: body))
      case .connectionOwner: .success(try ConnectionOwner(body: body))
      case .disconnected: .success(try Disconnected(body: body))
      case .failed: .failure(CallError(try Failed(body: body)))
      default: throw .unexpectedKind(head.kind.rawValue)
      }
    pending.remove(head.correlation)?.complete(result)
  }
}

extension CallError {
  static let presenceAway = CallError(
    .unavailable, "the presence worker is not reachable at the moment: try again", retryAfterMilliseconds: 1000)
}
