import AvaloCore
import AvaloLink
import AvaloReactor
import AvaloSystem
import AvaloWire
import Logging
import NIOCore

/// The gateway's one link to the scheduler.
///
/// Confined to the gateway's NIO loop. It carries the gateway's own requests (publishes) and, unread, what the hubs send and
/// what is for them: a correlation's or a handle's high byte is the loop it belongs to. Publishes that a lost link left
/// unanswered are sent again, in order and before any new one; the log knows their event ids (delivery.md, rule 3).
final class SchedulerLink: LinkDelegate {
  private let eventLoop: any EventLoop
  /// By loop number, less one. Set before the link is started.
  var hubs: [Mailbox<HubMail>] = []
  private let clock: MonotonicClock
  private let log: Logger
  private let metrics: GatewayMetrics
  private var client: LinkClient?
  /// The link while it is up.
  private var link: Link?
  /// Counts links, so that what a hub wrote for an earlier one is not sent on this one.
  private var number: UInt32 = 0
  private var pending: PendingRequests<PublishAnswer>
  private var credit = GatewayLimits.publishesInFlightDefault
  private var sweep: RepeatedTask?

  /// What the gateway's own requests are answered with.
  enum PublishAnswer {
    case published(Published)
    case broadcasted(Broadcasted)
    case markedRead(MarkedRead)
    case readState(ReadState)
  }

  init(eventLoop: any EventLoop, clock: MonotonicClock, metrics: GatewayMetrics, log: Logger) {
    self.eventLoop = eventLoop
    self.clock = clock
    self.metrics = metrics
    self.log = log
    pending = PendingRequests(max: GatewayLimits.publishesInFlightDefault)
  }

  /// Publishes that wait for their answer.
  var unanswered: Int { pending.count }

  func start(_ client: LinkClient) {
    eventLoop.preconditionInEventLoop()
    self.client = client
    client.start()
    sweep = eventLoop.scheduleRepeatedTask(initialDelay: .milliseconds(250), delay: .milliseconds(250)) {
      [weak self] _ in
      self?.expire()
    }
  }

  func stop() {
    eventLoop.preconditionInEventLoop()
    sweep?.cancel()
    client?.stop()
    for entry in pending.removeAll() { entry.complete(.failure(entry.isRepeatable ? .unknownOutcome : .schedulerAway)) }
  }

  // MARK: - The gateway's own requests

  /// Sends a request; answers on the loop, once. Of a publish `UNAVAILABLE` means "unknown: retry with this event id".
  /// - `isRepeatable`: whether the log knows it again, so that it waits for a link and is sent anew on the next one.
  func request(
    _ message: some WireMessage, isRepeatable: Bool = true,
    _ complete: @escaping (Result<PublishAnswer, CallError>) -> Void
  ) {
    eventLoop.preconditionInEventLoop()
    guard isRepeatable || link != nil else { return complete(.failure(.schedulerAway)) }
    guard pending.count < min(pending.max, credit) else {
      metrics.shed.add(1)
      return complete(
        .failure(
          CallError(
            .unavailable, "\(pending.count) publishes are waiting for the log: try again", retryAfterMilliseconds: 1000)
        ))
    }
    let correlation = pending.nextCorrelation()
    var writer = WireWriter()
    writer.frame(message, correlation: correlation)
    let frame = writer.take()
    pending.insert(
      .init(
        correlation: correlation, frame: frame, isRepeatable: isRepeatable,
        deadlineNanoseconds: (clock.now + GatewayLimits.publishTimeout).nanoseconds, complete: complete))
    metrics.publishesInFlight.set(pending.count)
    link?.send(frame)
  }

  private func answer(_ head: Frame.Head, _ body: UnsafeRawBufferPointer) throws(WireError) {
    let result: Result<PublishAnswer, CallError> =
      switch head.kind {
      case .published: .success(.published(try Published(body: body)))
      case .broadcasted: .success(.broadcasted(try Broadcasted(body: body)))
      case .markedRead: .success(.markedRead(try MarkedRead(body: body)))
      case .readState: .success(.readState(try ReadState(body: body)))
      case .failed: .failure(CallError(try Failed(body: body)))
      default: throw .unexpectedKind(head.kind.rawValue)
      }
    // An answer that comes after its deadline has nobody left to hear it.
    guard let entry = pending.remove(head.correlation) else { return }
    metrics.publishesInFlight.set(pending.count)
    entry.complete(result)
  }

  private func expire() {
    for entry in pending.expired(nowNanoseconds: clock.now.nanoseconds) {
      entry.complete(.failure(entry.isRepeatable ? .unknownOutcome : .schedulerAway))
    }
    metrics.publishesInFlight.set(pending.count)
    metrics.linkBacklogBytes.with("scheduler").set(link?.backlogBytes ?? 0)
  }

  // MARK: - For the hubs

  /// Sends what a hub wrote for link `number`; for an earlier link it is dropped, since the hub begins again.
  func forward(_ frames: [UInt8], number: UInt32) {
    eventLoop.preconditionInEventLoop()
    guard number == self.number, let link else { return }
    link.send(frames)
  }

  func breakLink(reason: String) {
    eventLoop.preconditionInEventLoop()
    link?.close(reason: reason)
  }

  // MARK: - LinkDelegate

  func linkOpened(_ link: Link, welcome: Welcome?) {
    self.link = link
    number &+= 1
    if let welcome { credit = Int(welcome.credit) }
    log.notice(
      "link to scheduler up",
      metadata: ["generation": "\(welcome?.generation ?? 0)", "unanswered_publishes": "\(pending.count)"])
    metrics.linksUp.with("scheduler").set(1)
    // This first: nobody's new publish may overtake one that is waiting.
    for entry in pending.inOrder { link.send(entry.frame) }
    for hub in hubs { hub.post(.schedulerUp(link: number)) }
  }

  func linkClosed(_ link: Link, reason: String) {
    guard self.link === link else { return }
    self.link = nil
    log.warning("link to scheduler lost", metadata: ["reason": "\(reason)"])
    metrics.linksUp.with("scheduler").set(0)
    metrics.linksLost.with("scheduler").add(1)
    for hub in hubs { hub.post(.schedulerDown) }
    for entry in pending.removeUnrepeatable() { entry.complete(.failure(.schedulerAway)) }
  }

  func linkDrained(_ link: Link) {}

  func link(_ link: Link, received frames: ByteBuffer) {
    guard self.link === link else { return }
    do throws(WireError) {
      try route(frames)
    } catch {
      log.error("frame from the scheduler does not parse", metadata: ["error": "\(error)"])
      link.close(reason: "\(error)")
    }
  }

  /// Hands each run of frames to the loop it is for, sharing the bytes.
  private func route(_ frames: ByteBuffer) throws(WireError) {
    var runStart = frames.readerIndex
    var runFor = Destination.none
    var index = frames.readerIndex
    let end = frames.writerIndex
    func handOver(upTo index: Int) {
      guard runStart < index, let slice = frames.getSlice(at: runStart, length: index - runStart) else { return }
      switch runFor {
      case .none, .gateway: break
      case .hub(let loop): hubs[Int(loop) - 1].post(.scheduler(slice))
      case .allHubs: for hub in hubs { hub.post(.scheduler(slice)) }
      }
    }
    while index < end {
      let (destination, length) = try frames.withUnsafeReadableBytes { all throws(WireError) in
        let rest = UnsafeRawBufferPointer(rebasing: all[(index - frames.readerIndex)...])
        guard let head = try Frame.head(of: rest), rest.count >= Frame.headBytes + head.bodyBytes else {
          throw .truncated
        }
        let body = UnsafeRawBufferPointer(rebasing: rest[Frame.headBytes..<(Frame.headBytes + head.bodyBytes)])
        let destination = try self.destination(of: head, body)
        if destination == .gateway { try answer(head, body) }
        return (destination, Frame.headBytes + head.bodyBytes)
      }
      if destination != runFor {
        handOver(upTo: index)
        runStart = index
        runFor = destination
      }
      index += length
    }
    handOver(upTo: end)
  }

  private enum Destination: Equatable {
    case none, gateway, allHubs
    case hub(UInt8)
  }

  private func destination(of head: Frame.Head, _ body: UnsafeRawBufferPointer) throws(WireError) -> Destination {
    switch head.kind {
    case .deliver:
      let delivery = try Deliver(body: body)
      guard delivery.targetCount > 0 else { return .none }
      let loop = delivery.target(0).handle >> 24
      for index in 1..<max(1, delivery.targetCount) where delivery.target(index).handle >> 24 != loop {
        return .allHubs
      }
      return try hub(loop)
    case .latest:
      let latest = try Latest(body: body)
      guard latest.targetCount > 0 else { return .none }
      let loop = latest.target(0) >> 24
      for index in 1..<max(1, latest.targetCount) where latest.target(index) >> 24 != loop { return .allHubs }
      return try hub(loop)
    // Answers to several loops may share a frame; a hub leaves out what is not its own.
    case .watched: return try destination(of: Watched(body: body).heads.map(\.handle))
    case .lagged: return try destination(of: Lagged(body: body).heads.map(\.handle))
    case .unwatched: return try destination(of: Unwatched(body: body).handles)
    default:
      let loop = head.correlation >> 24
      return loop == 0 ? .gateway : try hub(loop)
    }
  }

  private func destination(of handles: [UInt32]) throws(WireError) -> Destination {
    guard let first = handles.first else { return .none }
    return handles.allSatisfy { $0 >> 24 == first >> 24 } ? try hub(first >> 24) : .allHubs
  }

  private func hub(_ loop: UInt32) throws(WireError) -> Destination {
    guard loop >= 1, loop <= hubs.count else { throw .malformed("loop \(loop)") }
    return .hub(UInt8(loop))
  }
}

extension CallError {
  /// The link was lost or slow, and nobody can say what became of the request.
  static let unknownOutcome = CallError(
    .unavailable,
    "the event log did not answer in time; whether it kept the event is unknown: retry with the same eventId",
    retryAfterMilliseconds: 1000)
}
