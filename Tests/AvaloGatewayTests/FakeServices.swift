import AvaloCore
import AvaloWire

@testable import AvaloGateway

/// The workers behind, played by the test: it sees what was asked, and decides what is answered and when.
final class FakeServices: Services {
  private(set) var published: [Publish] = []
  private(set) var broadcasts: [Broadcast] = []
  private(set) var presenceRequests: [any WireRequest] = []
  private(set) var typed: [SetTyping] = []
  /// `nil`: nothing is answered until ``answerWaiting()``.
  var publishAnswer: Result<Published, CallError>? = .success(
    Published(
      position: Position(epoch: Epoch(rawValue: 0x1_42D1_C0AA), offset: 17), durability: .os, duplicate: false))
  var broadcastAnswer: Result<Broadcasted, CallError> = .success(
    Broadcasted(recipients: 2, durability: .os, duplicate: false))
  /// What the presence worker answers; everybody is offline, and every update is taken, unless a test says otherwise.
  var presenceAnswer: ((any WireRequest) -> Result<any WireMessage, CallError>) = { request in
    switch request {
    case let query as PresenceQuery:
      .success(PresenceAnswer(entries: query.users.map { _ in PresenceAnswer.Entry(state: PresenceState()) }))
    case is SetPresence: .success(PresenceSet(state: PresenceState(status: .online)))
    case is ErasePresence: .success(PresenceErased())
    case let query as ConnectionOwnerQuery: .success(ConnectionOwner(isAnother: query.connectionID == "conn_others"))
    default: .failure(CallError(.unavailable, "not played"))
    }
  }
  var typingAnswer: Result<Void, CallError> = .success(())
  private(set) var asked: [any WireRequest] = []
  /// Answers everything else that is asked of the scheduler.
  var answer: (any WireRequest) -> Result<any WireMessage, CallError> = { _ in
    .failure(CallError(.internal, "the test has no answer"))
  }
  private(set) var waiting: [(Result<Published, CallError>) -> Void] = []

  func publish(_ publish: Publish, completion: @escaping (Result<Published, CallError>) -> Void) {
    published.append(publish)
    if let publishAnswer { completion(publishAnswer) } else { waiting.append(completion) }
  }

  func broadcast(_ broadcast: Broadcast, completion: @escaping (Result<Broadcasted, CallError>) -> Void) {
    broadcasts.append(broadcast)
    completion(broadcastAnswer)
  }

  var marks: [MarkRead] { asked.compactMap { $0 as? MarkRead } }
  var markAnswer: Result<MarkedRead, CallError> = .success(MarkedRead(count: 15, readMilliseconds: 1_698_620_000_123))
  var readQueries: [QueryReads] { asked.compactMap { $0 as? QueryReads } }
  /// By default an answer leaves out what is unread.
  /// Nobody ever read anything, unless a test says otherwise.
  var startsAnswer: (StartsQuery) -> Result<Starts, CallError> = {
    .success(Starts(positions: $0.topics.map { _ in .none }))
  }
  /// Nobody subscribed to more than their inbox.
  var polledAnswer: Result<Polled, CallError>? = .success(Polled(topics: []))
  /// Polls that wait for what they are of, while ``polledAnswer`` is `nil`.
  var polledWaits: [(Result<Polled, CallError>) -> Void] = []
  var readsAnswer: Result<ReadState, CallError> = .failure(CallError(.unavailable, "not now"))

  func presence<Request: WireRequest>(
    _ request: Request, completion: @escaping (Result<Request.Answer, CallError>) -> Void
  ) {
    presenceRequests.append(request)
    completion(FakeServices.answer(to: request, presenceAnswer(request)))
  }

  func typing(_ typing: SetTyping, completion: @escaping (Result<Void, CallError>) -> Void) {
    typed.append(typing)
    completion(typingAnswer)
  }

  private(set) var membershipQueries: [[String]] = []
  /// What the webhook's word is waited for with.
  var membershipWaits: [() -> Void] = []

  func membership(
    _ webhook: MembershipWebhook, _ user: String, _ topics: [Topic], completion: @escaping () -> Void
  ) {
    membershipQueries.append(topics.map(\.name))
    membershipWaits.append(completion)
  }

  func ask<Request: WireRequest>(
    _ request: Request, completion: @escaping (Result<Request.Answer, CallError>) -> Void
  ) {
    asked.append(request)
    if request is PolledQuery, polledAnswer == nil {
      polledWaits.append { completion(FakeServices.answer(to: request, $0.map { $0 })) }
      return
    }
    let answer: Result<any WireMessage, CallError> =
      switch request {
      case is MarkRead: markAnswer.map { $0 }
      case is QueryReads: readsAnswer.map { $0 }
      case let query as StartsQuery: startsAnswer(query).map { $0 }
      case is PolledQuery: (polledAnswer ?? .success(Polled(topics: []))).map { $0 }
      default: answer(request)
      }
    completion(FakeServices.answer(to: request, answer))
  }

  private static func answer<Request: WireRequest>(
    to _: Request, _ result: Result<any WireMessage, CallError>
  ) -> Result<Request.Answer, CallError> {
    result.flatMap {
      ($0 as? Request.Answer).map { .success($0) }
        ?? .failure(CallError(.internal, "the test answers \(type(of: $0))"))
    }
  }

  /// Answers the publish that has waited longest, or another, with that offset.
  func answerWaiting(at index: Int = 0, offset: UInt64) {
    waiting.remove(at: index)(
      .success(
        Published(position: Position(epoch: Epoch(rawValue: 1), offset: offset), durability: .os, duplicate: false)))
  }
}
