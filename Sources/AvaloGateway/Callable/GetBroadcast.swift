import AvaloCore
import AvaloWire

/// `getBroadcast`: how far a broadcast in the background is. For servers with the scope `broadcast`; each sees its own.
enum GetBroadcast: Callable {
  static let name: StaticString = "getBroadcast"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let key = try request.server(with: .broadcast)
    var id: UInt64?
    try request.object("broadcastId").forEachMember { (key, value) throws(CallError) in
      guard key.matches("broadcastId") else { throw CallValue.unknown(key, among: "broadcastId") }
      id = value.string.flatMap { BroadcastID.read($0) }
      if id == nil { throw CallValue.refusal("broadcastId", "the broadcastId of an answer", value) }
    }
    guard let id else { throw CallError(.invalidArgument, "broadcastId is missing: which broadcast?") }
    context.services.ask(BroadcastQuery(owner: key.owner, broadcast: id)) { result in
      reply(result.map { answer($0, id) })
    }
  }

  private static func answer(_ status: BroadcastStatus, _ id: UInt64) -> [UInt8] {
    var json = JSONWriter(capacity: 256)
    json.object {
      $0.member("broadcastId", BroadcastID.text(id))
      $0.member("eventId", status.eventID)
      $0.member("state", status.finishedMilliseconds == 0 ? "running" : "finished")
      $0.member("recipients", status.recipients)
      $0.member("done", status.done)
      $0.member("failed", status.failed)
      $0.member("startedAt", status.startedMilliseconds)
      $0.key("finishedAt")
      if status.finishedMilliseconds == 0 { $0.null() } else { $0.integer(status.finishedMilliseconds) }
    }
    return json.bytes
  }
}
