import AvaloLink
import AvaloWire

/// Updates of users' presence on their way: first for what the file knows of the user, then for the file to have them.
/// Confined to the worker's loop.
struct UpdateQueue {
  struct Request {
    var update: SetPresence
    var link: Link
    var correlation: UInt32
  }

  private struct Answer {
    var user: UInt32
    var link: Link
    var correlation: UInt32
    var answer: any WireMessage
    /// Instead, when the file did not take it; `nil` where the board's having it is enough.
    var refusal: Failed?
  }

  private var loading: [UInt32: [Request]] = [:]
  private var waiting: [Answer] = []
  private var underWay: [Answer] = []

  /// Somebody waits for a batch that has not begun.
  var isWaiting: Bool { !waiting.isEmpty }

  mutating func waitForLoading(_ request: Request, _ user: UInt32) { loading[user, default: []].append(request) }

  /// In the order they came.
  mutating func takeLoading(_ user: UInt32) -> [Request] { loading.removeValue(forKey: user) ?? [] }

  /// The user is in the chat no longer; what they said before it does not say that they are.
  mutating func endPartnership(_ user: UInt32, in chat: String) {
    guard let count = loading[user]?.count else { return }
    for place in 0..<count { loading[user]?[place].update.chats.removeAll { $0 == chat } }
  }

  mutating func waitForWriting(_ request: Request, _ user: UInt32, _ answer: PresenceSet) {
    waiting.append(Answer(user: user, link: request.link, correlation: request.correlation, answer: answer))
  }

  /// An erasure is answered as done only when the file has forgotten the user.
  mutating func waitForErasing(_ link: Link, _ correlation: UInt32, _ user: UInt32) {
    waiting.append(
      Answer(
        user: user, link: link, correlation: correlation, answer: PresenceErased(), refusal: UpdateQueue.notErased))
  }

  static let notErased = Failed(
    .unavailable, "what is known of the user's presence cannot be erased from the file at the moment: try again",
    retryAfterMilliseconds: 1000)

  /// A batch with these users is with the file.
  mutating func writing(_ users: Set<UInt32>) {
    underWay += waiting.filter { users.contains($0.user) }
    waiting.removeAll { users.contains($0.user) }
  }

  /// The file has the batch, or takes nothing: then what it was to have waits on the board, and nobody else for it.
  mutating func written(_ succeeded: Bool) {
    for done in succeeded ? underWay : underWay + waiting {
      if !succeeded, let refusal = done.refusal {
        done.link.send(refusal, correlation: done.correlation)
      } else {
        done.link.send(done.answer, correlation: done.correlation)
      }
    }
    underWay.removeAll()
    if !succeeded { waiting.removeAll() }
  }
}
