import AvaloWire

/// What gateways ask about broadcasts in the background and about held events, on behalf of servers.
public enum BroadcastRequest: Sendable, Equatable {
  case begin(BeginBroadcast)
  case part(BroadcastPart)
  case query(BroadcastQuery)
  case cancelDelayed(CancelDelayed)

  /// Reads the request that a frame holds; `nil` for a kind that is none of them.
  init?(_ kind: FrameKind, _ body: UnsafeRawBufferPointer) throws(WireError) {
    switch kind {
    case .beginBroadcast: self = .begin(try BeginBroadcast(body: body))
    case .broadcastPart: self = .part(try BroadcastPart(body: body))
    case .broadcastQuery: self = .query(try BroadcastQuery(body: body))
    case .cancelDelayed: self = .cancelDelayed(try CancelDelayed(body: body))
    default: return nil
    }
  }
}
