import AvaloCore
import NIOCore
import NIOPosix

/// A broadcast as its publisher wrote it, checked and taken out of the request's bytes: a value, so that a large one can be
/// read beside the loop.
struct BroadcastDraft: Sendable {
  /// Each once.
  let users: [String]
  /// What the publisher calls it, if anything.
  let eventID: String?
  /// Over the event and the users; see ``EventDraft/contentHash(targets:)``.
  let contentHash: UInt64
  private let fields: EventFields

  init(_ data: JSONView, _ limits: LimitSettings, acceptedMicroseconds accepted: Int64) throws(CallError) {
    guard data.kind == .object else {
      throw CallError(.invalidArgument, "data must be an object with userIds and event")
    }
    let event: JSONView
    (users, event) = try BroadcastDraft.parts(data, usersMax: limits.broadcastUsers)
    let draft = try EventDraft(event, now: accepted / 1000, payloadBytesMax: limits.payloadBytesMax)
    guard draft.targetUser == nil, draft.topicName == nil else {
      throw CallError(.invalidArgument, "event must not have targetUserId or topic: userIds say who it is for")
    }
    guard draft.type.retention == .durable else {
      throw CallError(
        .invalidArgument, "\(draft.type.wireName) is not kept in inboxes: publish it with publishRealtimeEvent")
    }
    guard draft.deliverAt == nil else {
      throw CallError(.invalidArgument, "event must not have deliverAt: a broadcast is sent at once")
    }
    eventID = draft.eventID
    contentHash = draft.contentHash(targets: users)
    fields = draft.fields(eventID: "", topic: nil, acceptedMicroseconds: accepted)
  }

  /// Ready for the log.
  func record(eventID: String) -> [UInt8] {
    var fields = fields
    fields.eventID = eventID
    return fields.record()
  }

  private static func parts(
    _ data: JSONView, usersMax: Int
  ) throws(CallError) -> (users: [String], event: JSONView) {
    var users: [String]?
    var event: JSONView?
    try data.forEachMember { (key, value) throws(CallError) in
      if key.matches("userIds") {
        users = try CallValue.users(value, "userIds", max: usersMax)
      } else if key.matches("event") {
        guard value.kind == .object else { throw CallValue.refusal("event", "an object", value) }
        event = value
      } else {
        throw CallValue.unknown(key, among: "userIds, event")
      }
    }
    guard let users else { throw CallError(.invalidArgument, "userIds is missing: a list of user ids") }
    guard let event else { throw CallError(.invalidArgument, "event is missing: an object with type and payload") }
    return (users, event)
  }

  /// Reads a request's body on a thread beside the loops: a hundred thousand names take tens of milliseconds, in which
  /// nobody else would be served. Answers on the loop.
  static func read(
    _ body: ByteBuffer, _ limits: LimitSettings, acceptedMicroseconds accepted: Int64, on eventLoop: any EventLoop,
    _ completion: @escaping (Result<BroadcastDraft, CallError>) -> Void
  ) {
    NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { () -> Result<BroadcastDraft, CallError> in
      body.withUnsafeReadableBytes { text in
        do throws(CallError) {
          return .success(
            try BroadcastDraft(try CallRequest.data(of: text), limits, acceptedMicroseconds: accepted))
        } catch {
          return .failure(error)
        }
      }
    }.assumeIsolated().whenComplete { result in
      switch result {
      case .success(let read): completion(read)
      // The process' pool is there for ever.
      case .failure(let error): completion(.failure(CallError(.internal, "the request could not be read: \(error)")))
      }
    }
  }
}
