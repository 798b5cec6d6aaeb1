import AvaloCore
import AvaloLink
import AvaloMetrics
import AvaloReactor
import AvaloWire
import AvaloWorker
import NIOCore

/// Both links, as the gateway's own loop uses them: the services behind HTTP calls, and where the hubs' mail ends.
/// Confined to that loop.
final class WorkerLinks: Services {
  let scheduler: SchedulerLink
  let presence: PresenceLink
  private let eventLoop: any EventLoop

  private let published: [Counter]

  init(_ context: WorkerContext, _ revocations: Revocations, _ metrics: GatewayMetrics) {
    eventLoop = context.eventLoop
    scheduler = SchedulerLink(
      eventLoop: context.eventLoop, clock: context.monotonicClock, revocations: revocations, metrics: metrics,
      log: context.log)
    presence = PresenceLink(
      eventLoop: context.eventLoop, clock: context.monotonicClock, metrics: metrics, log: context.log)
    published = EventType.allCases.map { metrics.published.with($0.wireName) }
  }

  /// Connects to both; the hubs hear of it.
  func start(_ context: WorkerContext, _ hubs: [Mailbox<HubMail>]) {
    scheduler.membersRemoved = { [presence] topic, users, isInForce in
      guard let chat = topic.chatID else { return }
      let ended = PartnershipsEnded(chat: chat, users: users)
      // The first word may be undone by an update that a loop is about to send; the second is behind all of those.
      if isInForce { presence.tellForGood(ended) } else { _ = presence.tell(ended) }
    }
    let hello = Hello(role: "gateway", instance: context.instance, incarnation: context.incarnation)
    scheduler.start(
      hubs,
      LinkClient(
        path: context.runtimeDirectory + "/scheduler.sock", name: "scheduler", on: context.eventLoop, hello: { hello },
        delegate: scheduler, log: context.log))
    presence.hubs = hubs
    presence.start(
      LinkClient(
        path: context.runtimeDirectory + "/presence.sock", name: "presence", on: context.eventLoop, hello: { hello },
        delegate: presence, log: context.log))
  }

  func stop() {
    scheduler.stop()
    presence.stop()
  }

  func publish(_ publish: Publish, completion: @escaping (Result<Published, CallError>) -> Void) {
    let counter = self.counter(of: publish.record)
    scheduler.publish(publish) { (result: Result<Published, CallError>) in
      if case .success(let published) = result, !published.duplicate { counter?.add(1) }
      completion(result)
    }
  }

  func broadcast(_ broadcast: Broadcast, completion: @escaping (Result<Broadcasted, CallError>) -> Void) {
    let counter = self.counter(of: broadcast.record)
    scheduler.publish(broadcast) { (result: Result<Broadcasted, CallError>) in
      if case .success(let done) = result, !done.duplicate { counter?.add(Int(done.recipients)) }
      completion(result)
    }
  }

  func ask<Request: WireRequest>(
    _ request: Request, completion: @escaping (Result<Request.Answer, CallError>) -> Void
  ) {
    scheduler.ask(request, completion)
  }

  /// A record begins with its type, and types are numbered from 1.
  private func counter(of record: [UInt8]) -> Counter? {
    record.first.flatMap { EventType(rawValue: $0) }.map { published[Int($0.rawValue) - 1] }
  }

  func membership(
    _ webhook: MembershipWebhook, _ user: String, _ topics: [Topic], completion: @escaping () -> Void
  ) {
    let done = NIOLoopBound(completion, eventLoop: eventLoop)
    webhook.ask(user, topics) { [eventLoop] in eventLoop.execute { done.value() } }
  }

  func presence<Request: WireRequest>(
    _ request: Request, completion: @escaping (Result<Request.Answer, CallError>) -> Void
  ) {
    presence.request(request) { result in
      completion(result.flatMap { ($0 as? Request.Answer).map { .success($0) } ?? .failure(.wrongAnswer) })
    }
  }

  func typing(_ typing: SetTyping, completion: @escaping (Result<Void, CallError>) -> Void) {
    completion(presence.tell(typing))
  }
}

/// A hub's way out of its loop: everything is posted to the gateway's, in order.
final class GatewayPort: HubPort {
  private let eventLoop: any EventLoop
  private let links: NIOLoopBound<WorkerLinks>

  init(_ links: NIOLoopBound<WorkerLinks>, on eventLoop: any EventLoop) {
    self.eventLoop = eventLoop
    self.links = links
  }

  func toScheduler(_ frames: [UInt8], link: UInt32) {
    eventLoop.execute { self.links.value.scheduler.forward(frames, number: link) }
  }

  func breakSchedulerLink(reason: String) {
    eventLoop.execute { self.links.value.scheduler.breakLink(reason: reason) }
  }

  func breakPresenceLink(reason: String) {
    eventLoop.execute { self.links.value.presence.breakLink(reason: reason) }
  }

  func toPresence(_ frames: [UInt8], snapshotEnds: Bool) {
    eventLoop.execute { self.links.value.presence.forward(frames, snapshotEnds: snapshotEnds) }
  }

  func accessApplied(_ position: UInt64, loop: UInt8, link: UInt32) {
    eventLoop.execute { self.links.value.scheduler.accessApplied(position, loop: loop, number: link) }
  }

  private static func ask<Request: WireRequest>(
    _ request: Request, of links: WorkerLinks, _ reply: @escaping (Result<ServiceAnswer, CallError>) -> Void
  ) {
    links.ask(request) { reply($0.map { .answered($0) }) }
  }

  func request(_ request: ServiceRequest, loop: UInt8, id: UInt32) {
    eventLoop.execute {
      let links = self.links.value
      let hub = links.scheduler.hubs[Int(loop) - 1]
      switch request {
      case .publish(let publish):
        links.publish(publish) { hub.post(.service(id: id, $0.map { .published($0) })) }
      case .broadcast(let broadcast):
        links.broadcast(broadcast) { hub.post(.service(id: id, $0.map { .broadcasted($0) })) }
      case .ask(let request): GatewayPort.ask(request, of: links) { hub.post(.service(id: id, $0)) }
      case .presence(let request):
        links.presence.request(request) { hub.post(.service(id: id, $0.map { .answered($0) })) }
      case .typing(let typing):
        links.typing(typing) { hub.post(.service(id: id, $0.map { .told })) }
      case .membership(let webhook, let user, let topics):
        webhook.ask(user, topics) { hub.post(.service(id: id, .success(.membershipDecided))) }
      }
    }
  }
}
