import AvaloCore

/// A page of the log that is on its way to us, and the inboxes that are erased meanwhile: it may have been read before, and
/// still hold what was in them. A page that is asked for later holds nothing of it. Pure.
struct PageUnderWay {
  private var erased: [Topic: UInt64] = [:]

  /// Notes an erasure; `false` when there were too many, and the page is of no use.
  mutating func erase(_ topic: Topic, upTo offset: UInt64) -> Bool {
    erased[topic] = max(erased[topic] ?? 0, offset)
    return erased.count <= WebhookLimits.erasuresMax
  }

  func isErased(_ topic: Topic, _ offset: UInt64) -> Bool { erased[topic].map { offset <= $0 } ?? false }
}
