import AvaloCore

/// One topic that sessions of this loop subscribe to: where the loop has got to, and who is there.
///
/// Owned by its hub, confined to its loop. Its handle on the scheduler's link is its index with the loop's number above it.
/// There is one for each inbox of a connected user: what grows here grows by the number of connections.
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
  /// Everything up to here was written to the live sessions. ``Position/none`` until first known.
  var position = Position.none
  /// Subscriptions that are joining or behind.
  var waiting = SubscriberList()
  var live = SubscriberList()
  /// When the event at `position` was accepted at the edge (µs since 1970), for acknowledgement latency; 0 when it did not
  /// come live.
  var newestAcceptedMicroseconds: Int64 = 0
  let handle: UInt32
  /// Which of the hub's ``TurnFrames`` hold what its live sessions get this turn.
  var frames = TurnFrames.none
  var state = State.unwatched

  init(topic: Topic, handle: UInt32) {
    self.topic = topic
    self.handle = handle
  }

  /// Its place among the hub's topics.
  var index: UInt32 { handle & WatchedTopic.indexMax }
  static let indexMax: UInt32 = 0xFF_FFFF

  var hasSubscribers: Bool { !waiting.isEmpty || !live.isEmpty }
}

/// One event among a topic's frames of this turn, to be measured when they are written.
struct LiveDelivery {
  let type: EventType
  let acceptedMicroseconds: Int64
  /// The place of its ``TurnFrames``.
  let frames: Int
}

/// Frames of one topic's turn, contiguous, in the writer's arena. Gone with the turn.
struct TurnFrames {
  static let none = UInt32.max

  let topic: UInt32
  /// `nil` once they were given to the live sessions.
  var start: UnsafeMutableRawPointer?
  var count = 0
  var capacity: Int
  /// Where the live sessions stood before them.
  let base: UInt64
  /// How many sessions were given them.
  var served = 0

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }
}
