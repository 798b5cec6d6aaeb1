import AvaloClient
import AvaloCore
import Synchronization

/// A server of one process for the load tool's tests: keeps topics in memory, delivers, resumes, tells who watches a user
/// what that user says, and can be told to break a promise, so that a test sees whether the tool notices.
final class MiniHub: Sendable {
  enum Fault: Sendable, Equatable {
    case loses(every: UInt64)
    case duplicates(every: UInt64)
    case swaps(every: UInt64)
    case refusesPublishes
    case refusesClients
    /// Only of presence.
    case refusesChanges
  }

  private struct Log {
    var payloads: [String] = []
    var subscribers: [(peer: TestPeer, id: ObjectIdentifier)] = []
    var heldBack: String?
  }
  private struct State {
    var topics: [String: Log] = [:]
    var acknowledged = 0
    /// By the user who is watched.
    var watchers: [String: [TestPeer]] = [:]
    var users: [ObjectIdentifier: String] = [:]
    var version: UInt64 = 0
  }

  private let state = Mutex(State())
  private let fault: Fault?

  init(fault: Fault? = nil) { self.fault = fault }

  var acknowledged: Int { state.withLock { $0.acknowledged } }

  func start() async throws -> TestServer {
    try await TestServer.start { peer, happening in
      switch happening {
      case .text(let text): self.hear(peer, text)
      case .closed: self.forget(peer)
      case .request(let request): self.publish(peer, request)
      case .opened: break
      }
    }
  }

  private func hear(_ peer: TestPeer, _ text: JSONText) {
    text.read { view in
      if view["ack"] != nil { state.withLock { $0.acknowledged += 1 } }
      if view["ping"] != nil { peer.say(#"{"pong":{"serverTime":1}}"#) }
      if view["call"] != nil { change(peer, view) }
      guard let connect = view["connect"] else { return }
      guard fault != .refusesClients, let topic = connect["subscriptions"]?.elements.compactMap(\.string).first else {
        peer.say(#"{"error":{"status":"UNAUTHENTICATED","message":"no"}}"#)
        return peer.close(code: 4500)
      }
      var after: Int?
      for (_, position) in connect["positions"]?.members ?? view.members {
        after = position["offset"].flatMap(\.integer).map(Int.init)
      }
      peer.sayReady(topics: [topic])
      state.withLock { state in
        let payloads = state.topics[topic, default: Log()].payloads
        peer.channel.eventLoop.execute { [after] in
          for offset in (after ?? payloads.count)..<payloads.count {
            peer.sayEvent(offset + 1, topic: topic, epoch: MiniHub.epoch, payload: payloads[offset])
          }
          peer.say(#"{"live":{"topic":"\#(topic)","epoch":"\#(MiniHub.epoch)","offset":\#(payloads.count)}}"#)
        }
        state.topics[topic, default: Log()].subscribers.append((peer, ObjectIdentifier(peer.channel)))
        state.users[ObjectIdentifier(peer.channel)] = String(topic.dropFirst("user:".count))
        for watched in connect["subscriptions"]?.elements.compactMap(\.string) ?? []
        where watched.hasPrefix("presence:") {
          state.watchers[String(watched.dropFirst("presence:".count)), default: []].append(peer)
        }
      }
    }
  }

  /// A user says how they are.
  private func change(_ peer: TestPeer, _ call: JSONView) {
    guard let id = call["id"]?.integer, let data = call["data"] else { return peer.say("{}") }
    guard fault != .refusesChanges else {
      return peer.say(#"{"id":\#(id),"error":{"status":"UNAVAILABLE","message":"no"}}"#)
    }
    state.withLock { state in
      let user = state.users[ObjectIdentifier(peer.channel)] ?? "?"
      state.version += 1
      let frame =
        #"{"event":{"eventId":"prs_\#(state.version)","type":"presence_update","sourceUserId":"\#(user)","payload":"#
        + #"\#(String(decoding: data.raw, as: UTF8.self)),"timestamp":1},"topic":"presence:\#(user)","#
        + #""version":\#(state.version)}"#
      // By the user's own count: between users there is no order.
      let times =
        switch fault {
        case .loses(let every) where UInt64(id) % every == 0: 0
        case .duplicates(let every) where UInt64(id) % every == 0: 2
        default: 1
        }
      for watcher in state.watchers[user] ?? [] {
        watcher.channel.eventLoop.execute { for _ in 0..<times { watcher.say(frame) } }
      }
      peer.channel.eventLoop.execute { peer.say(#"{"id":\#(id),"result":{"success":true}}"#) }
    }
  }

  private static let epoch = "0000000000000001"

  private func forget(_ peer: TestPeer) {
    let id = ObjectIdentifier(peer.channel)
    state.withLock { state in
      for topic in state.topics.keys { state.topics[topic]?.subscribers.removeAll { $0.id == id } }
    }
  }

  private func publish(_ peer: TestPeer, _ request: HTTPRequest) {
    guard fault != .refusesPublishes, let body = try? JSONText(validating: request.body) else {
      return peer.reply(503, #"{"error":{"status":"UNAVAILABLE","message":"no"}}"#)
    }
    body.read { view in
      guard let data = view["data"], let payload = data["payload"] else { return peer.reply(400, "{}") }
      let topic = data["topic"]?.string ?? "user:" + (data["targetUserId"]?.string ?? "")
      let offset = state.withLock { state in
        state.topics[topic, default: Log()].payloads.append(String(decoding: payload.raw, as: UTF8.self))
        let log = state.topics[topic, default: Log()]
        deliver(UInt64(log.payloads.count), topic, log, &state.topics[topic, default: Log()].heldBack)
        return log.payloads.count
      }
      peer.reply(200, #"{"result":{"success":true,"offset":\#(offset),"duplicate":false}}"#)
    }
  }

  private func deliver(_ offset: UInt64, _ topic: String, _ log: Log, _ heldBack: inout String?) {
    let frame =
      #"{"event":{"eventId":"e","type":"chat_message","payload":\#(log.payloads[Int(offset) - 1]),"timestamp":1},"#
      + #""topic":"\#(topic)","offset":\#(offset)}"#
    var frames = [frame]
    switch fault {
    case .loses(let every) where offset % every == 0: frames = []
    case .duplicates(let every) where offset % every == 0: frames = [frame, frame]
    case .swaps(let every) where offset % every == 0:
      heldBack = frame
      frames = []
    default: break
    }
    if !frames.isEmpty, let late = heldBack {
      frames.append(late)
      heldBack = nil
    }
    for subscriber in log.subscribers {
      // Through its loop's queue also when this is its loop: otherwise it would overtake what others queued there.
      subscriber.peer.channel.eventLoop.execute { [frames] in
        for frame in frames { subscriber.peer.say(frame) }
      }
    }
  }
}
