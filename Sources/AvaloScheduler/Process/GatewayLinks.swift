import AvaloCore
import AvaloLink
import AvaloWire
import Logging
import NIOCore

/// The gateways' and plugins' links, on the worker's loop: cuts what comes into commands, and gives each link what the engine and the
/// reader have for it. Decides nothing.
final class GatewayLinks: LinkDelegate {
  private final class Place {
    let id: LinkID
    let isGateway: Bool
    let gauge = LinkGauge()
    init(id: LinkID, isGateway: Bool) {
      self.id = id
      self.isGateway = isGateway
    }
  }

  private let engine: Engine
  private let reader: PageReader
  private let readStates: ReadStateDesk
  private let metrics: SchedulerMetrics
  private var links: [LinkID: Link] = [:]
  private var next: UInt32 = 0
  private var timer: RepeatedTask?
  private var isEnding = false

  init(engine: Engine, reader: PageReader, readStates: ReadStateDesk, metrics: SchedulerMetrics) {
    self.engine = engine
    self.reader = reader
    self.readStates = readStates
    self.metrics = metrics
  }

  /// Keeps the gauges true on `eventLoop` until ``stop()``: a link that drains without having been full says nothing.
  func start(on eventLoop: any EventLoop) {
    let period = TimeAmount.milliseconds(SchedulerLimits.gaugeMilliseconds)
    timer = eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { [weak self] _ in
      for link in (self?.links ?? [:]).values { (link.attachment as? Place)?.gauge.waits(link.backlogBytes) }
    }
  }

  func stop() { timer?.cancel() }

  /// What cannot be taken in any more is left unanswered: the gateways ask it again, of whoever comes after us, when the
  /// links end. A refusal would go to their clients.
  func beginEnding() { isEnding = true }

  // MARK: - From the gateways

  func linkOpened(_ link: Link, welcome: Welcome?) {
    guard let peer = link.peer else { return }
    next &+= 1
    let place = Place(id: LinkID(rawValue: next), isGateway: peer.role == LinkRole.gateway)
    link.attachment = place
    links[place.id] = link
    _ = engine.post(
      .linkOpened(
        place.id, instance: peer.instance, incarnation: peer.incarnation, isGateway: place.isGateway, gauge: place.gauge
      ))
  }

  func linkClosed(_ link: Link, reason: String) {
    guard let place = link.attachment as? Place else { return }
    links[place.id] = nil
    place.gauge.end()
    _ = engine.post(.linkClosed(place.id))
  }

  func linkDrained(_ link: Link) {
    guard let place = link.attachment as? Place else { return }
    place.gauge.waits(link.backlogBytes)
    _ = engine.post(.linkDrained(place.id))
  }

  func link(_ link: Link, received frames: ByteBuffer) {
    guard let place = link.attachment as? Place else { return }
    link.walk(frames) { head, body in
      guard place.isGateway || GatewayLinks.isForPlugins(head.kind) else {
        throw WireError.unexpectedKind(head.kind.rawValue)
      }
      if let wish = try GatewayLinks.wish(head.kind, body) {
        let request = PageReader.Request(
          link: place.id, gauge: place.gauge, correlation: head.correlation, wish: wish)
        if !self.reader.post(request) { self.refuse(link, head.correlation) }
        return
      }
      let command = try Self.command(place.id, head, body)
      if !self.engine.post(command) { self.refuse(link, head.correlation) }
    }
  }

  private static func wish(_ kind: FrameKind, _ body: UnsafeRawBufferPointer) throws(WireError) -> PageReader.Wish? {
    switch kind {
    case .read: .page(try Read(body: body))
    case .readTopic: .topic(try ReadTopic(body: body))
    case .readFollowed: .followed(try ReadFollowed(body: body))
    default: nil
    }
  }

  /// What one may say that has no sessions, and is not told of access: it speaks for itself alone.
  private static func isForPlugins(_ kind: FrameKind) -> Bool {
    switch kind {
    case .publish, .broadcast, .watch, .unwatch, .read, .readTopic, .listMembers, .membershipQuery, .follow,
      .readFollowed,
      .acknowledgeFollowed:
      true
    default: false
    }
  }

  private static func command(
    _ link: LinkID, _ head: Frame.Head, _ body: UnsafeRawBufferPointer
  ) throws(WireError) -> Command {
    switch head.kind {
    case .publish: return .publish(link, correlation: head.correlation, try Publish(body: body))
    case .broadcast: return .broadcast(link, correlation: head.correlation, try Broadcast(body: body))
    case .attach: return .attach(link, correlation: head.correlation, try Attach(body: body))
    case .cursors: return .cursors(link, correlation: head.correlation, try Cursors(body: body))
    case .markRead: return .markRead(link, correlation: head.correlation, try MarkRead(body: body))
    case .queryReads: return .queryReads(link, correlation: head.correlation, try QueryReads(body: body))
    case .lease: return .lease(link, correlation: head.correlation, try Lease(body: body))
    case .leave: return .leave(link, try Leave(body: body))
    case .detach: return .detach(link, try Detach(body: body))
    case .watch: return .watch(link, correlation: head.correlation, try Watch(body: body))
    case .unwatch: return .unwatch(link, correlation: head.correlation, try Unwatch(body: body))
    case .latestSeen: return .latestSeen(link, correlation: head.correlation, try LatestSeen(body: body))
    case .acknowledge: return .acknowledge(link, try Acknowledge(body: body))
    case .follow: return .follow(link, correlation: head.correlation, try Follow(body: body))
    case .acknowledgeFollowed: return .acknowledgeFollowed(link, try AcknowledgeFollowed(body: body))
    case .accessConfirmed: return .accessConfirmed(link, try AccessConfirmed(body: body))
    default:
      if let request = try BroadcastRequest(head.kind, body) {
        return .broadcasts(link, correlation: head.correlation, request)
      }
      guard let request = try AccessRequest(head.kind, body) else { throw .unexpectedKind(head.kind.rawValue) }
      return .access(link, correlation: head.correlation, request)
    }
  }

  private func refuse(_ link: Link, _ correlation: UInt32) {
    guard !isEnding else { return }
    metrics.refused(.overload)
    link.send(
      Failed(.unavailable, "the event log has too much to do: try again", retryAfterMilliseconds: 1000),
      correlation: correlation)
  }

  // MARK: - To the gateways

  /// What a turn of the engine gave.
  func send(_ output: TurnOutput) {
    for cut in output.cuts { links[cut.link]?.close(reason: cut.reason) }
    for (id, frames) in output.sends { send(frames, to: id) }
    for (id, correlation, query) in output.queries {
      guard let link = links[id], let place = link.attachment as? Place else { continue }
      if !readStates.ask(query, link: id, gauge: place.gauge, correlation: correlation) { refuse(link, correlation) }
    }
  }

  /// What was read beside the engine.
  func send(_ pages: [(link: LinkID, frames: [UInt8])]) {
    for (id, frames) in pages { send(frames, to: id) }
  }

  private func send(_ frames: [UInt8], to id: LinkID) {
    guard let link = links[id], let place = link.attachment as? Place else { return }
    link.send(frames)
    place.gauge.sent(frames.count, waiting: link.backlogBytes)
  }
}
