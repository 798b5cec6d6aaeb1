import AvaloCore
import AvaloWire

/// Where we are in the log: which log it is, what it holds for us, what is on its way, what it was told. Pure; monotonic
/// milliseconds.
struct LogReading {
  private(set) var generation: UInt32 = 0
  /// What the log was told, or told us.
  private var acknowledged: UInt64 = 0
  /// Up to where the log is known to hold something for us.
  private var head: UInt64 = 0
  /// The last page may not have been the end.
  private var mayBeMore = false
  /// A page is not asked for before.
  private var notBefore = Int64.min
  /// The page that was asked for and has not come; `nil` while one that comes would be of no use.
  private var page: PageUnderWay?
  private var missed: UInt64?

  /// The log knows us (again). `true` when it goes on from what was read here; `false` when that means nothing any more:
  /// another log, or another place in it.
  mutating func follow(_ following: Following, read: UInt64) -> Bool {
    // One that is still on its way was asked for by who we were.
    page = nil
    mayBeMore = true
    notBefore = .min
    guard generation == following.generation, read >= following.acknowledged else {
      generation = following.generation
      acknowledged = following.acknowledged
      head = following.acknowledged
      missed = nil
      return false
    }
    // It forgot at most the last moments of what it was told.
    acknowledged = min(acknowledged, following.acknowledged)
    return true
  }

  mutating func grow(to sequence: UInt64) { head = max(head, sequence) }

  /// The log has dropped so many in all; returns how many of them are news.
  mutating func miss(_ total: UInt64) -> Int {
    defer { missed = total }
    return Int(clamping: total - min(missed ?? total, total))
  }

  /// Whether a page would bring anything.
  func wantsPage(after read: UInt64, at now: Int64) -> Bool { now >= notBefore && (mayBeMore || head > read) }

  mutating func asked() { page = PageUnderWay() }

  /// A page came, and brings us there from `read`. Returns what was erased since it was asked for; `nil` when it is of no
  /// use, and to be asked for again.
  mutating func came(through sequence: UInt64, from read: UInt64) -> PageUnderWay? {
    defer { page = nil }
    mayBeMore = page == nil || sequence > read
    return page
  }

  /// The log could not read it.
  mutating func fail(at now: Int64) {
    page = nil
    mayBeMore = true
    notBefore = now + WebhookLimits.linkRetryMilliseconds
  }

  mutating func erase(_ topic: Topic, upTo offset: UInt64) {
    if page?.erase(topic, upTo: offset) == false { page = nil }
  }

  /// Everything up to there is done; whether the log is to be told.
  mutating func acknowledge(_ sequence: UInt64) -> Bool {
    guard sequence > acknowledged else { return false }
    acknowledged = sequence
    return true
  }
}
