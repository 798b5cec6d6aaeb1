import AvaloCore
import AvaloWire

/// What a hub's calls ask of the workers behind, on its way to the gateway's loop, where the links are.
enum ServiceRequest: Sendable {
  case publish(Publish)
  case broadcast(Broadcast)
  case ask(any WireRequest)
  case presence(any WireRequest)
  case typing(SetTyping)
  case membership(MembershipWebhook, user: String, topics: [Topic])
}

/// What they are answered.
enum ServiceAnswer: Sendable {
  case published(Published)
  case broadcasted(Broadcasted)
  /// What the scheduler or the presence worker said.
  case answered(any WireMessage)
  case told
  case membershipDecided
}

/// The services of one hub: sends each request over the port and keeps who waits for it. Confined to the hub's loop; each
/// is answered once, since the links answer all they took.
final class HubServices: Services {
  private let port: any HubPort
  private let loop: UInt8
  private var waiting: [UInt32: (Result<ServiceAnswer, CallError>) -> Void] = [:]
  private var next: UInt32 = 0

  init(port: any HubPort, loop: UInt8) {
    self.port = port
    self.loop = loop
  }

  func publish(_ publish: Publish, completion: @escaping (Result<Published, CallError>) -> Void) {
    request(.publish(publish)) {
      completion($0.picking { if case .published(let answer) = $0 { answer } else { nil } })
    }
  }

  func broadcast(_ broadcast: Broadcast, completion: @escaping (Result<Broadcasted, CallError>) -> Void) {
    request(.broadcast(broadcast)) {
      completion($0.picking { if case .broadcasted(let answer) = $0 { answer } else { nil } })
    }
  }

  func ask<Request: WireRequest>(
    _ request: Request, completion: @escaping (Result<Request.Answer, CallError>) -> Void
  ) {
    self.request(.ask(request)) { completion($0.picking { $0.answer(to: request) }) }
  }

  func presence<Request: WireRequest>(
    _ request: Request, completion: @escaping (Result<Request.Answer, CallError>) -> Void
  ) {
    self.request(.presence(request)) { completion($0.picking { $0.answer(to: request) }) }
  }

  func typing(_ typing: SetTyping, completion: @escaping (Result<Void, CallError>) -> Void) {
    request(.typing(typing)) { completion($0.picking { if case .told = $0 { () } else { nil } }) }
  }

  func membership(
    _ webhook: MembershipWebhook, _ user: String, _ topics: [Topic], completion: @escaping () -> Void
  ) {
    request(.membership(webhook, user: user, topics: topics)) { _ in completion() }
  }

  /// An answer that the hub found in its mail.
  func answered(_ id: UInt32, _ result: Result<ServiceAnswer, CallError>) {
    waiting.removeValue(forKey: id)?(result)
  }

  private func request(_ request: ServiceRequest, _ complete: @escaping (Result<ServiceAnswer, CallError>) -> Void) {
    repeat { next &+= 1 } while waiting[next] != nil
    waiting[next] = complete
    port.request(request, loop: loop, id: next)
  }
}

extension ServiceAnswer {
  fileprivate func answer<Request: WireRequest>(to _: Request) -> Request.Answer? {
    if case .answered(let message) = self { message as? Request.Answer } else { nil }
  }
}

extension Result where Success == ServiceAnswer, Failure == CallError {
  /// The kind of answer that belongs to the request; another one is a defect of ours, told as such.
  fileprivate func picking<Answer>(_ pick: (ServiceAnswer) -> Answer?) -> Result<Answer, CallError> {
    switch self {
    case .failure(let error): .failure(error)
    case .success(let answer):
      pick(answer).map { .success($0) }
        ?? .failure(CallError(.internal, "a worker answered another question than asked"))
    }
  }
}
