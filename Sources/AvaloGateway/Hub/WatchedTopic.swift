import AvaloCore

/// One topic that sessions of this loop subscribe to: where the loop has got to, and who is there.
///
/// Owned by its hub, confined to its loop. Its handle on the scheduler's link is its index with the loop's number above it.
final class WatchedTopic {
  enum State: UInt8 {
    /// No link, or the link was just made: nothing is known to arrive.
    case unwatched
    /// Asked for; delivers that come before the answer are not ours.
    case watching
    /// `position` is where this loop stands, and every event above it will come.
    case watched
    /// Nobody is left; the handle is free when the scheduler has said so.
    case leaving
  }

  let topic: Topic
  let handle: UInt32
  var state = State.unwatched
  /// Everything up to here was written to the live sessions. ``Position/none`` until first known.
  var position = Position.none
  /// Offsets up to here were evicted.
  var floor: UInt64 = 0

  var joining = SubscriberList()
  var behind = SubscriberList()
  var live = SubscriberList()

  /// Frames of this turn for the live sessions, contiguous, in the writer's arena.
  var pending: UnsafeMutableRawPointer?
  var pendingBytes = 0
  var pendingCapacity = 0
  /// Where the live sessions stood before `pending`.
  var pendingBase: UInt64 = 0

  /// The newest event's offset and when it was accepted at the edge (µs since 1970), for acknowledgement latency.
  var newestOffset: UInt64 = 0
  var newestAcceptedMicroseconds: Int64 = 0

  init(topic: Topic, handle: UInt32) {
    self.topic = topic
    self.handle = handle
  }

  var hasSubscribers: Bool { !joining.isEmpty || !behind.isEmpty || !live.isEmpty }
}
