import AvaloCore

/// Requests of one hub that the scheduler has not answered, by correlation. The correlation's high byte is the loop's
/// number, so that the link can hand the answer to the right loop unread.
struct RequestTable {
  typealias Completion = (Result<Void, CallError>) -> Void

  enum Request {
    /// Registers a session's device; `subscriptions` are those whose cursors it asked for.
    case attach(session: UInt64, slot: UInt32, subscriptions: [UInt32])
    /// Cursors for a session that is registered; `done` belongs to the call that asked, if one did.
    case cursors(session: UInt64, slot: UInt32, subscriptions: [UInt32], done: Completion?)
    case read(ReadKey)
  }

  private var requests: [UInt32: Request] = [:]
  private var next: UInt32 = 0

  var count: Int { requests.count }

  mutating func insert(_ request: Request, loop: UInt8) -> UInt32 {
    repeat { next = (next + 1) & 0xFF_FFFF } while requests[UInt32(loop) << 24 | next] != nil
    let correlation = UInt32(loop) << 24 | next
    requests[correlation] = request
    return correlation
  }

  mutating func remove(_ correlation: UInt32) -> Request? { requests.removeValue(forKey: correlation) }
  /// Gives up everything: who waits for it asks again on the next link, but for calls, which are refused.
  mutating func removeAll() -> [Completion] {
    defer { requests.removeAll() }
    return requests.values.compactMap { if case .cursors(_, _, _, let done) = $0 { done } else { nil } }
  }
}
