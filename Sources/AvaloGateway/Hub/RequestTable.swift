import AvaloCore

/// A subscription whose cursor was asked for. By the time of the answer it may have been given up, and its place taken by
/// another: by one of the same topic, to which the answer belongs as well, or it is not this one any more.
struct Joiner: Equatable {
  var subscription: UInt32
  var topic: UInt32
}

/// Requests of one hub that the scheduler has not answered, by correlation. The correlation's high byte is the loop's
/// number, so that the link can hand the answer to the right loop unread.
struct RequestTable {
  /// Told which topics were refused after all.
  typealias Completion = (Result<[AccessRules.Grant.Denial], CallError>) -> Void

  enum Request {
    /// Registers a session's device; `joiners` are those whose cursors it asked for.
    case attach(session: UInt64, slot: UInt32, joiners: [Joiner])
    /// Cursors for a session that is registered; `done` belongs to the call that asked, if one did.
    case cursors(session: UInt64, slot: UInt32, joiners: [Joiner], done: Completion?)
    case read(ReadKey)
    /// What a session that comes in has not read.
    case reads(session: UInt64, slot: UInt32)
    /// What a session was too slow for.
    case receipts(session: UInt64, slot: UInt32)
  }

  private var requests: [UInt32: Request] = [:]
  private var next: UInt32 = 0
  /// Those that ask anew, on a new link, what sessions may have that are there.
  private var rechecks: Set<UInt32> = []

  /// Whether it is known of every session what it may have.
  var isChecked: Bool { rechecks.isEmpty }
  var count: Int { requests.count }

  mutating func insert(_ request: Request, loop: UInt8, isRecheck: Bool = false) -> UInt32 {
    repeat { next = (next + 1) & 0xFF_FFFF } while requests[UInt32(loop) << 24 | next] != nil
    let correlation = UInt32(loop) << 24 | next
    requests[correlation] = request
    if isRecheck { rechecks.insert(correlation) }
    return correlation
  }

  mutating func remove(_ correlation: UInt32) -> Request? {
    rechecks.remove(correlation)
    return requests.removeValue(forKey: correlation)
  }

  /// Gives back what a storm of connects made it grow to.
  mutating func trim() {
    requests.trim()
    rechecks.trim()
  }

  /// Gives up everything: who waits for it asks again on the next link, but for calls, which are refused.
  mutating func removeAll() -> [Completion] {
    defer {
      requests.removeAll()
      rechecks.removeAll()
    }
    return requests.values.compactMap { if case .cursors(_, _, _, let done) = $0 { done } else { nil } }
  }
}

extension Dictionary {
  /// Gives the memory back when it is empty and was much larger.
  mutating func trim() {
    if isEmpty, capacity > HubLimits.tableCapacityKept { self = [:] }
  }
}

extension Set {
  /// As of a dictionary.
  mutating func trim() {
    if isEmpty, capacity > HubLimits.tableCapacityKept { self = [] }
  }
}
