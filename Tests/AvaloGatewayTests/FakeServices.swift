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
    default: .failure(CallError(.unavailable, "not played"))
    }
  }
  var typingAnswer: Result<Void, CallError> = .success(())
  private(set) var waiting: [(Result<Published, CallError>) -> Void] = []

  func publish(_ publish: Publish, completion: @escaping (Result<Published, CallError>) -> Void) {
    published.append(publish)
    if let publishAnswer { completion(publishAnswer) } else { waiting.append(completion) }
  }

  func broadcast(_ broadcast: Broadcast, completion: @escaping (Result<Broadcasted, CallError>) -> Void) {
    broadcasts.append(broadcast)
    completion(broadcastAnswer)
  }

  private(set) var marks: [MarkRead] = []
  var markAnswer: Result<MarkedRead, CallError> = .success(MarkedRead(count: 15, readMilliseconds: 1_698_620_000_123))
  func markRead(_ mark: MarkRead, completion: @escaping (Result<MarkedRead, CallError>) -> Void) {
    marks.append(mark)
    completion(markAnswer)
  }

  private(set) var readQueries: [QueryReads] = []
  /// By default an answer leaves out what is unread.
  var readsAnswer: Result<ReadState, CallError> = .failure(CallError(.unavailable, "not now"))
  func reads(_ query: QueryReads, completion: @escaping (Result<ReadState, CallError>) -> Void) {
    readQueries.append(query)
    completion(readsAnswer)
  }

  func presence<Request: WireRequest>(
    _ request: Request, completion: @escaping (Result<Request.Answer, CallError>) -> Void
  ) {
    presenceRequests.append(request)
    completion(
      presenceAnswer(request).flatMap {
        ($0 as? Request.Answer).map { .success($0) } ?? .failure(CallError(.internal, "\(type(of: $0)) is no answer"))
      })
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

  /// Answers the publish that has waited longest, or another, with that offset.
  func answerWaiting(at index: Int = 0, offset: UInt64) {
    waiting.remove(at: index)(
      .success(
        Published(position: Position(epoch: Epoch(rawValue: 1), offset: offset), durability: .os, duplicate: false)))
  }
}
