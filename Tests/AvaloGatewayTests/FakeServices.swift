import AvaloCore
import AvaloWire

@testable import AvaloGateway

/// The workers behind, played by the test: it sees what was asked, and decides what is answered and when.
final class FakeServices: Services {
  private(set) var published: [Publish] = []
  private(set) var broadcasts: [Broadcast] = []
  private(set) var presenceQueries: [[String]] = []
  /// `nil`: nothing is answered until ``answerWaiting()``.
  var publishAnswer: Result<Published, CallError>? = .success(
    Published(
      position: Position(epoch: Epoch(rawValue: 0x1_42D1_C0AA), offset: 17), durability: .os, duplicate: false))
  var broadcastAnswer: Result<Broadcasted, CallError> = .success(
    Broadcasted(recipients: 2, durability: .os, duplicate: false))
  var presenceAnswer: (([String]) -> Result<[PresenceAnswer.Entry], CallError>) = { users in
    .success(users.map { _ in PresenceAnswer.Entry(online: false, lastSeenMilliseconds: 0, platform: .unknown) })
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

  func presence(_ users: [String], completion: @escaping (Result<[PresenceAnswer.Entry], CallError>) -> Void) {
    presenceQueries.append(users)
    completion(presenceAnswer(users))
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
