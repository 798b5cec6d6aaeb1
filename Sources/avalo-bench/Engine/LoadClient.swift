import Glibc

/// One client of the load: a socket, how far it got, and what it has seen of its one topic. Lives in the engine's slab.
struct LoadClient {
  enum Phase: UInt8 {
    case closed
    /// The TCP connection is being made.
    case connecting
    /// The upgrade was asked for.
    case upgrading
    /// The `connect` frame was sent.
    case authenticating
    /// `ready` came; the replay may be running.
    case ready
    /// `live` came.
    case live
  }

  var descriptor: Int32 = -1
  /// Counts the lives of this slot, so that an event of an earlier socket is not taken for one of this.
  var generation: UInt32 = 0
  var phase = Phase.closed
  /// Whether EPOLLOUT is asked for.
  var awaitsRoom = false
  /// When it is to be back, which the server said; 0: it said nothing.
  var returnDue: Nanoseconds = 0
  /// When connecting was due.
  var due: Nanoseconds = 0
  /// Of its topic; 0 until `live`.
  var epoch: UInt64 = 0
  /// Whether its place in the topic's log is known: from `live` of a fresh client, or from an earlier connection.
  var isPlaced = false
  var sequence = OffsetSequence()
  var held = HeldBytes()
}

/// The beginning of a frame whose rest has not come. Keeps its memory: under load half frames are the rule.
struct HeldBytes {
  private(set) var bytes: UnsafeMutableRawPointer?
  private(set) var count = 0
  private var capacity = 0

  mutating func hold(_ source: UnsafeRawPointer, _ size: Int) {
    if size > capacity {
      capacity = max(256, size * 3 / 2)
      bytes = realloc(bytes, capacity)
    }
    if size > 0 { memcpy(bytes!, source, size) }
    count = size
  }

  mutating func release() {
    free(bytes)
    bytes = nil
    count = 0
    capacity = 0
  }
}
