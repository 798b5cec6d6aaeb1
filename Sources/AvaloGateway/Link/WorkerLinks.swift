import AvaloCore
import AvaloWire
import NIOCore

/// Both links, as the gateway's own loop uses them: the services behind HTTP calls, and where the hubs' mail ends.
/// Confined to that loop.
final class WorkerLinks: Services {
  let scheduler: SchedulerLink
  let presence: PresenceLink

  init(scheduler: SchedulerLink, presence: PresenceLink) {
    self.scheduler = scheduler
    self.presence = presence
  }

  func publish(_ publish: Publish, completion: @escaping (Result<Published, CallError>) -> Void) {
    scheduler.request(publish) { result in
      completion(
        result.flatMap {
          if case .published(let published) = $0 { .success(published) } else { .failure(.wrongAnswer) }
        })
    }
  }

  func broadcast(_ broadcast: Broadcast, completion: @escaping (Result<Broadcasted, CallError>) -> Void) {
    scheduler.request(broadcast) { result in
      completion(
        result.flatMap {
          if case .broadcasted(let broadcasted) = $0 { .success(broadcasted) } else { .failure(.wrongAnswer) }
        })
    }
  }

  func presence(_ users: [String], completion: @escaping (Result<[PresenceAnswer.Entry], CallError>) -> Void) {
    presence.query(users) { result in
      completion(
        result.flatMap { $0.entries.count == users.count ? .success($0.entries) : .failure(.wrongAnswer) })
    }
  }
}

extension CallError {
  fileprivate static let wrongAnswer = CallError(.internal, "a worker answered another question than asked")
}

/// A hub's way out of its loop: everything is posted to the gateway's, in order.
final class GatewayPort: HubPort {
  private let eventLoop: any EventLoop
  private let links: NIOLoopBound<WorkerLinks>

  /// Made on `eventLoop`.
  init(_ links: WorkerLinks, on eventLoop: any EventLoop) {
    self.eventLoop = eventLoop
    self.links = NIOLoopBound(links, eventLoop: eventLoop)
  }

  func toScheduler(_ frames: [UInt8], link: UInt32) {
    eventLoop.execute { self.links.value.scheduler.forward(frames, number: link) }
  }

  func breakSchedulerLink(reason: String) {
    eventLoop.execute { self.links.value.scheduler.breakLink(reason: reason) }
  }

  func toPresence(_ frames: [UInt8], snapshotEnds: Bool) {
    eventLoop.execute { self.links.value.presence.forward(frames, snapshotEnds: snapshotEnds) }
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
      case .presence(let users):
        links.presence(users) { hub.post(.service(id: id, $0.map { .presence($0) })) }
      }
    }
  }
}
