import AvaloCore
import AvaloWire

/// Hands a large broadcast to the scheduler: the event first, then its recipients part by part, each when the one before
/// is in the log. Lives as long as its answers are waited for. What ends half-way was not accepted, and is forgotten there.
final class BroadcastUpload {
  private let begin: BeginBroadcast
  private let users: [String]
  private let services: any Services
  private let done: (Result<BroadcastBegun, CallError>) -> Void

  /// - `users`: each once.
  init(
    _ begin: BeginBroadcast, _ users: [String], _ services: any Services,
    done: @escaping (Result<BroadcastBegun, CallError>) -> Void
  ) {
    self.begin = begin
    self.users = users
    self.services = services
    self.done = done
  }

  func start() {
    services.ask(begin) { result in
      switch result {
      case .success(let begun) where !begun.duplicate: self.send(begun, from: 0)
      default: self.done(result)
      }
    }
  }

  private func send(_ begun: BroadcastBegun, from first: Int) {
    guard first < users.count else { return done(.success(begun)) }
    let end = min(users.count, first + Limits.broadcastRecipientsMax)
    let part = BroadcastPart(
      broadcast: begun.broadcast, attempt: begin.attempt, first: UInt32(first), recipients: Array(users[first..<end]))
    services.ask(part) { result in
      switch result {
      case .success: self.send(begun, from: end)
      case .failure(let error): self.done(.failure(error))
      }
    }
  }
}
