import AvaloCore
import AvaloWire

/// Where polls are held. One an event loop, used on it alone.
public protocol Polls: AnyObject {
  /// A poll has come, and will be held as soon as it is known what it is of.
  func arrive() -> PollArrival
  /// Replies once: when there is something to tell, when it was held long enough, or why not.
  func hold(
    _ wish: PollWish, _ identity: Identity, _ arrival: PollArrival, writing: AnswerWriting?, reply: @escaping CallReply)
}

/// Where a poll stands among those of its event loop.
public struct PollArrival: Comparable {
  let number: UInt64

  public static func < (one: PollArrival, other: PollArrival) -> Bool { one.number < other.number }
}

/// `realtimePingV1`: what happened since the last time, at once or as soon as something does.
enum RealtimePing: Callable {
  static let name: StaticString = "realtimePingV1"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let identity = try request.user()
    try context.require(\.engine, for: identity)
    let wish = try PollWish(request.data, arrivedMicroseconds: context.wall.microseconds)
    switch request.carrier {
    case .session:
      // What happens comes over the connection by itself.
      reply(.success(PollAnswer([]).json(cursor: "", now: context.wall.milliseconds)))
    case .http(_, _, let writing):
      guard let polls = context.polls else { throw CallError(.unimplemented, "nothing is held here") }
      let arrival = polls.arrive()
      func hold(_ wish: PollWish) {
        writing?.whenAbandoned = nil
        guard writing?.isOver != true else { return reply(.failure(CallError(.cancelled, "the caller has gone"))) }
        polls.hold(wish, identity, arrival, writing: writing, reply: reply)
      }
      func refuse(_ error: CallError) {
        writing?.whenAbandoned = nil
        reply(.failure(error))
      }
      // Whoever leaves meanwhile has left a poll.
      writing?.whenAbandoned = {}
      context.check(wish.request.connectionID, of: identity.user) { refusal in
        if let refusal { return refuse(refusal) }
        guard let connection = wish.unspecified else { return hold(wish) }
        context.services.ask(PolledQuery(user: identity.user, connection: connection)) { result in
          switch result {
          case .success(let polled): hold(wish.polling(polled.topics))
          case .failure(let error): refuse(error)
          }
        }
      }
    }
  }
}
