import AvaloCore
import AvaloLink
import AvaloReactor
import AvaloSystem
import AvaloWire
import Logging
import NIOCore

/// The gateway's one link to the presence worker: tells it of sessions, asks it who is here.
///
/// Confined to the gateway's NIO loop. A new link begins with a snapshot of every hub's sessions; while there is no
/// link nothing is kept, since the next snapshot says it all.
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
  private var pending: PendingRequests<PresenceAnswer>
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

  /// Asks who of `users` is here; answers on the loop, once.
  func query(_ users: [String], _ complete: @escaping (Result<PresenceAnswer, CallError>) -> Void) {
    eventLoop.preconditionInEventLoop()
    guard let link, !pending.isFull else { return complete(.failure(.presenceAway)) }
    let correlation = pending.nextCorrelation()
    var writer = WireWriter()
    writer.frame(PresenceQuery(users: users), correlation: correlation)
    pending.insert(
      .init(
        correlation: correlation, frame: [],
        deadlineNanoseconds: (clock.now + GatewayLimits.presenceTimeout).nanoseconds, complete: complete))
    link.send(writer.take())
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
    snapshotsOwed = hubs.count
    for hub in hubs { hub.post(.presenceUp) }
  }

  func linkClosed(_ link: Link, reason: String) {
    guard self.link === link else { return }
    self.link = nil
    log.warning("link to presence lost", metadata: ["reason": "\(reason)"])
    metrics.linksUp.with("presence").set(0)
    metrics.linksLost.with("presence").add(1)
    for entry in pending.removeAll() { entry.complete(.failure(.presenceAway)) }
  }

  func linkDrained(_ link: Link) {}

  func link(_ link: Link, received frames: ByteBuffer) {
    guard self.link === link else { return }
    do throws(WireError) {
      try frames.withUnsafeReadableBytes { all throws(WireError) in
        var rest = all
        while !rest.isEmpty {
          guard let head = try Frame.head(of: rest), rest.count >= Frame.headBytes + head.bodyBytes else {
            throw .truncated
          }
          let end = Frame.headBytes + head.bodyBytes
          try answer(head, UnsafeRawBufferPointer(rebasing: rest[Frame.headBytes..<end]))
          rest = UnsafeRawBufferPointer(rebasing: rest[end...])
        }
      }
    } catch {
      log.error("frame from presence does not parse", metadata: ["error": "\(error)"])
      link.close(reason: "\(error)")
    }
  }

  private func answer(_ head: Frame.Head, _ body: UnsafeRawBufferPointer) throws(WireError) {
    let result: Result<PresenceAnswer, CallError> =
      switch head.kind {
      case .presenceAnswer: .success(try PresenceAnswer(body: body))
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
