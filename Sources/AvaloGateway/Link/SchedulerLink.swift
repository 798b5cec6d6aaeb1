import AvaloCore
import AvaloLink
import AvaloReactor
import AvaloSystem
import AvaloWire
import Logging
import NIOCore

/// The gateway's one link to the scheduler.
///
/// Confined to the gateway's NIO loop. It carries the gateway's own requests and, unread, what the hubs send and what is
/// for them: a correlation's or a handle's high byte is the loop it belongs to. It follows the access log: nothing is sent
/// on a new link, and no hub hears of it, before its state is known. Publishes that a lost link left unanswered are sent
/// again, in order and before any new one; the log knows their event ids (delivery.md, rule 3). Other requests are given up.
final class SchedulerLink: LinkDelegate {
  private let eventLoop: any EventLoop
  /// By loop number, less one.
  private(set) var hubs: [Mailbox<HubMail>] = []
  private let clock: MonotonicClock
  private let revocations: Revocations
  private let log: Logger
  private let metrics: GatewayMetrics
  private var client: LinkClient?
  /// The link while it is up.
  private var link: Link?
  /// Counts links, so that what a hub wrote for an earlier one is not sent on this one.
  private var number: UInt32 = 0
  private var pending: PendingRequests<any WireMessage>
  private var follower = AccessFollower(loops: 1)
  private var credit = GatewayLimits.publishesInFlightDefault
  private var sweep: RepeatedTask?
  private var removals = UnappliedRemovals()
  /// Told of users who are members of a topic no longer: when it is heard, and again when it is in force in every loop, and
  /// nothing that one of them made of an older answer is still to come. Set before the link is started.
  var membersRemoved: (Topic, [String], _ isInForce: Bool) -> Void = { _, _, _ in }

  init(
    eventLoop: any EventLoop, clock: MonotonicClock, revocations: Revocations, metrics: GatewayMetrics, log: Logger
  ) {
    self.eventLoop = eventLoop
    self.clock = clock
    self.revocations = revocations
    self.metrics = metrics
    self.log = log
    pending = PendingRequests(max: GatewayLimits.publishesInFlightDefault)
  }

  /// Publishes that wait for their answer.
  var unanswered: Int { pending.count }

  func start(_ hubs: [Mailbox<HubMail>], _ client: LinkClient) {
    eventLoop.preconditionInEventLoop()
    self.hubs = hubs
    follower = AccessFollower(loops: hubs.count)
    self.client = client
    client.start()
    let pause = TimeAmount.milliseconds(GatewayLimits.accessRefreshMilliseconds)
    sweep = eventLoop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { [weak self] _ in self?.sweepPending() }
  }

  func stop() {
    eventLoop.preconditionInEventLoop()
    sweep?.cancel()
    client?.stop()
    for entry in pending.removeAll() { entry.giveUp() }
  }

  // MARK: - The gateway's own requests

  /// Sends a publish; answers on the loop, once. `UNAVAILABLE` means "unknown: retry with this event id".
  func publish<Answer: WireMessage>(
    _ message: some WireMessage, _ complete: @escaping (Result<Answer, CallError>) -> Void
  ) {
    send(message, isRepeated: true, complete)
  }

  /// Asks anything else; answers on the loop, once. What a lost link leaves unanswered is given up, for it may not be in
  /// order any more: `UNAVAILABLE` means "unknown".
  func ask<Request: WireRequest>(
    _ request: Request, _ complete: @escaping (Result<Request.Answer, CallError>) -> Void
  ) {
    guard follower.isFollowing else { return complete(.failure(.schedulerAway)) }
    send(request, isRepeated: false, complete)
  }

  private func send<Answer: WireMessage>(
    _ message: some WireMessage, isRepeated: Bool, _ complete: @escaping (Result<Answer, CallError>) -> Void
  ) {
    eventLoop.preconditionInEventLoop()
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
        correlation: correlation, frame: isRepeated ? frame : [],
        deadlineNanoseconds: (clock.now + GatewayLimits.publishTimeout).nanoseconds
      ) { result in
        complete(result.flatMap { ($0 as? Answer).map { .success($0) } ?? .failure(.wrongAnswer) })
      })
    metrics.publishesInFlight.set(pending.count)
    // Before the state of access is known the link carries nothing; what waits is sent then.
    if follower.isFollowing { link?.send(frame) }
  }

  private func answer(_ head: Frame.Head, _ body: UnsafeRawBufferPointer) throws(WireError) {
    let result: Result<any WireMessage, CallError> =
      switch head.kind {
      case .published: .success(try Published(body: body))
      case .broadcasted: .success(try Broadcasted(body: body))
      case .broadcastBegun: .success(try BroadcastBegun(body: body))
      case .broadcastPartTaken: .success(try BroadcastPartTaken(body: body))
      case .broadcastStatus: .success(try BroadcastStatus(body: body))
      case .delayedCancelled: .success(try DelayedCancelled(body: body))
      case .memberships: .success(try Memberships(body: body))
      case .topicPage: .success(try TopicPage(body: body))
      case .markedRead: .success(try MarkedRead(body: body))
      case .readState: .success(try ReadState(body: body))
      case .membersChanged: .success(try MembersChanged(body: body))
      case .memberList: .success(try MemberList(body: body))
      case .membershipAnswer: .success(try MembershipAnswer(body: body))
      case .revoked: .success(try Revoked(body: body))
      case .starts: .success(try Starts(body: body))
      case .polled: .success(try Polled(body: body))
      case .erased: .success(try Erased(body: body))
      case .failed: .failure(CallError(try Failed(body: body)))
      default: throw .unexpectedKind(head.kind.rawValue)
      }
    // An answer that comes after its deadline has nobody left to hear it.
    guard let entry = pending.remove(head.correlation) else { return }
    metrics.publishesInFlight.set(pending.count)
    entry.complete(result)
  }

  private func sweepPending() {
    if follower.isFollowing { revocations.stayCurrent() }
    metrics.revocations.set(revocations.count)
    for entry in pending.expired(nowNanoseconds: clock.now.nanoseconds) { entry.giveUp() }
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
    follower.linkOpened()
  }

  func linkClosed(_ link: Link, reason: String) {
    guard self.link === link else { return }
    self.link = nil
    log.warning("link to scheduler lost", metadata: ["reason": "\(reason)"])
    metrics.linksUp.with("scheduler").set(0)
    metrics.linksLost.with("scheduler").add(1)
    follower.linkClosed()
    for hub in hubs { hub.post(.schedulerDown) }
    for entry in pending.removeUnrepeatable() { entry.giveUp() }
    metrics.publishesInFlight.set(pending.count)
  }

  // MARK: - The access log

  private func access(_ head: Frame.Head, _ body: UnsafeRawBufferPointer) throws(WireError) {
    let action =
      head.kind == .accessChanged
      ? try follower.received(try AccessChanged(body: body)) : try follower.received(try AccessLive(body: body))
    switch action {
    case .nothing: break
    case .begin(let state, let position):
      revocations.begin(state)
      revocations.stayCurrent()
      log.debug("access known", metadata: ["position": "\(position)", "revocations": "\(state.count)"])
      // This first: nobody's new publish may overtake one that is waiting.
      for entry in pending.inOrder { link?.send(entry.frame) }
      for hub in hubs { hub.post(.schedulerUp(link: number)) }
    case .apply(let access):
      revocations.apply(access.changes)
      removals.received(access, link: number, loops: hubs.count)
      for case .removed(let topic, let users) in access.changes { membersRemoved(topic, users, false) }
      for hub in hubs { hub.post(.access(access)) }
    }
  }

  /// A loop has a step in force that came on link `number`.
  func accessApplied(_ position: UInt64, loop: UInt8, number: UInt32) {
    eventLoop.preconditionInEventLoop()
    // This first, and of a lost link, too: who asked for the removal may take it for done when all have confirmed it.
    for removal in removals.applied(position, link: number) { membersRemoved(removal.topic, removal.users, true) }
    guard number == self.number, let link, let everywhere = follower.applied(position, by: Int(loop) - 1) else {
      return
    }
    link.send(AccessConfirmed(position: everywhere))
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
        return (destination, Frame.headBytes + head.bodyBytes)
      }
      if destination != runFor {
        handOver(upTo: index)
        runStart = index
        runFor = destination
      }
      // What came before it has been handed on: a hub sees a step of access at its place.
      if destination == .gateway {
        try frames.withUnsafeReadableBytes { all throws(WireError) in
          let start = index - frames.readerIndex
          try own(UnsafeRawBufferPointer(rebasing: all[start..<(start + length)]))
        }
      }
      index += length
    }
    handOver(upTo: end)
  }

  /// A frame that is for the gateway itself.
  private func own(_ frame: UnsafeRawBufferPointer) throws(WireError) {
    guard let head = try Frame.head(of: frame) else { throw .truncated }
    let body = UnsafeRawBufferPointer(rebasing: frame[Frame.headBytes...])
    switch head.kind {
    case .accessChanged, .accessLive: try access(head, body)
    default: try answer(head, body)
    }
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
    case .accessChanged, .accessLive: return .gateway
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

extension PendingRequests.Entry {
  fileprivate func giveUp() { complete(.failure(isRepeatable ? .unknownOutcome : .schedulerLost)) }
}

extension CallError {
  /// The link was lost or slow, and nobody can say what became of the request.
  static let unknownOutcome = CallError(
    .unavailable,
    "the event log did not answer in time; whether it kept the event is unknown: retry with the same eventId",
    retryAfterMilliseconds: 1000)
  /// The same, of a request that is not asked twice.
  static let schedulerLost = CallError(
    .unavailable, "the event log did not answer: try again", retryAfterMilliseconds: 1000)
  static let wrongAnswer = CallError(.internal, "a worker answered another question than asked")
}
