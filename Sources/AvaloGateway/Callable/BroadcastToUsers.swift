import AvaloCore
import AvaloWire
import NIOCore

/// `broadcastToUsers`: appends one event to the inboxes of many users. Up to ``Limits/broadcastRecipientsMax`` in one
/// transaction, all or none; more in the background, and then the answer says that the log has all of them and what to
/// ask ``GetBroadcast`` about. For servers with the scope `broadcast`.
enum BroadcastToUsers: Callable {
  static let name: StaticString = "broadcastToUsers"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let (key, limits) = try admit(request, context)
    let draft = try BroadcastDraft(request.data, limits, acceptedMicroseconds: context.wall.microseconds)
    try send(draft, key, limits, context, reply)
  }

  /// A call whose body would hold up the loop: it is read beside it, by whoever has the right to that. `request` holds no
  /// data.
  static func call(
    _ request: CallRequest, reading body: ByteBuffer, on eventLoop: any EventLoop, _ context: CallContext,
    reply: @escaping CallReply
  ) throws(CallError) {
    let (key, limits) = try admit(request, context)
    try context.admission.beginReading()
    let reply = context.observed(name, reply)
    BroadcastDraft.read(body, limits, acceptedMicroseconds: context.wall.microseconds, on: eventLoop) { result in
      context.admission.endReading()
      do throws(CallError) {
        try send(try result.get(), key, limits, context, reply)
      } catch {
        reply(.failure(error))
      }
    }
  }

  private static func admit(
    _ request: CallRequest, _ context: CallContext
  ) throws(CallError) -> (key: APIKey, limits: LimitSettings) {
    let access = context.access.current
    let key = try request.server(with: .broadcast)
    try PublishRealtimeEvent.admit(key, .broadcast, context, access)
    return (key, access.settings.limits)
  }

  private static func send(
    _ draft: BroadcastDraft, _ key: APIKey, _ limits: LimitSettings, _ context: CallContext,
    _ reply: @escaping CallReply
  ) throws(CallError) {
    let eventID = draft.eventID ?? context.newEventID()
    let record = draft.record(eventID: eventID)
    let users = draft.users
    try context.admission.enter(max: limits.publishesInFlight)
    let done: (Result<Outcome, CallError>) -> Void = { result in
      context.admission.leave()
      reply(
        result.map { answer($0, eventID: eventID) }
          .mapError { PublishRealtimeEvent.outcomeUnknown($0, eventID: eventID) })
    }
    guard users.count > Limits.broadcastRecipientsMax else {
      let broadcast = Broadcast(owner: key.owner, contentHash: draft.contentHash, record: record, recipients: users)
      return context.services.broadcast(broadcast) { result in done(result.map { Outcome($0) }) }
    }
    let begin = BeginBroadcast(
      owner: key.owner, attempt: context.random.next(), contentHash: draft.contentHash, record: record,
      recipients: UInt32(users.count))
    BroadcastUpload(begin, users, context.services, done: { result in done(result.map { Outcome($0, users.count) }) })
      .start()
  }

  /// What became of it.
  private struct Outcome {
    var recipients: Int
    var durability: Durability
    var duplicate: Bool
    /// Of one in the background.
    var broadcast: UInt64?

    init(_ broadcasted: Broadcasted) {
      recipients = Int(broadcasted.recipients)
      durability = broadcasted.durability
      duplicate = broadcasted.duplicate
    }

    init(_ begun: BroadcastBegun, _ recipients: Int) {
      self.recipients = recipients
      durability = begun.durability
      duplicate = begun.duplicate
      broadcast = begun.broadcast
    }
  }

  private static func answer(_ outcome: Outcome, eventID: String) -> [UInt8] {
    var json = JSONWriter(capacity: 192)
    json.object {
      $0.member("success", true)
      $0.member("eventId", eventID)
      if let broadcast = outcome.broadcast { $0.member("broadcastId", BroadcastID.text(broadcast)) }
      $0.member("recipients", outcome.recipients)
      $0.member("durability", outcome.durability.wireName)
      $0.member("duplicate", outcome.duplicate)
    }
    return json.bytes
  }
}

/// How a broadcast in the background is named to servers: `bct_` and sixteen hexadecimal digits.
enum BroadcastID {
  private static let prefix = "bct_"
  private static let digits = 16

  static func text(_ id: UInt64) -> String {
    let hexadecimal = String(id, radix: 16)
    return prefix + String(repeating: "0", count: digits - hexadecimal.count) + hexadecimal
  }

  static func read(_ text: String) -> UInt64? {
    guard text.hasPrefix(prefix), text.utf8.count == prefix.utf8.count + digits else { return nil }
    let hexadecimal = text.dropFirst(prefix.count)
    guard hexadecimal.allSatisfy(\.isHexDigit) else { return nil }
    return UInt64(hexadecimal, radix: 16)
  }
}
