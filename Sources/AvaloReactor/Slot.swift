/// One connection in a loop's slab: 48 bytes. What an idle one never needs is in `side`, made on demand.
struct Slot {
  /// The socket, owned by the slot; -1 when the transport keeps it (NIO), or the slot is free.
  var descriptor: Int32 = -1
  /// Goes up each time a connection leaves, so that an id or an event of an older one is recognised.
  var generation: UInt32 = 0
  var flags: SlotFlags = []
  /// Loop seconds.
  var lastReceived: UInt32 = 0
  /// The application's word.
  var tag: UInt32 = 0
  /// Bytes queued in this turn.
  var turnBytes: UInt32 = 0
  /// Bytes of earlier turns that the kernel has not taken.
  var outstandingBytes: UInt32 = 0
  /// Which peer address it counts for (`AddressBudget`); the transport's to give back.
  var addressLease: UInt32 = 0
  /// The turn's bytes: their start when they are one piece, a `PieceList` when `flags` says `.gathered`.
  var turn: UnsafeRawPointer?
  var side: UnsafeMutablePointer<Side>?
}

struct SlotFlags: OptionSet {
  let rawValue: UInt32

  /// The application was told `opened`, and not yet `closed`.
  static let open = SlotFlags(rawValue: 1 << 0)
  /// In the turn's list.
  static let dirty = SlotFlags(rawValue: 1 << 1)
  /// `turn` is a `PieceList`.
  static let gathered = SlotFlags(rawValue: 1 << 2)
  /// Its end is decided: nothing more is queued, nothing more is told but `closed`; what is queued is still written.
  static let closing = SlotFlags(rawValue: 1 << 3)
  /// Everything is written and our side is shut; only the peer's end of stream is awaited.
  static let lingering = SlotFlags(rawValue: 1 << 4)
  /// Free, or about to be at the turn's end.
  static let gone = SlotFlags(rawValue: 1 << 5)
  /// A Close frame came.
  static let closeReceived = SlotFlags(rawValue: 1 << 6)
  /// The application asked for the end.
  static let closedByApplication = SlotFlags(rawValue: 1 << 7)
  /// The peer sends no more (end of stream).
  static let peerFinished = SlotFlags(rawValue: 1 << 8)
  /// More was queued in one turn than counters hold, or the outbox has no room: to be cut.
  static let overflowed = SlotFlags(rawValue: 1 << 9)
  /// The write side moved since the last look (`Watch.stall`).
  static let wrote = SlotFlags(rawValue: 1 << 10)
  /// A message was completed since the last look (`Watch.message`).
  static let completedMessage = SlotFlags(rawValue: 1 << 11)

  // What the loop looks at once a second; each at most once in its list.
  static let watchesPong = SlotFlags(rawValue: 1 << 12)
  static let watchesStall = SlotFlags(rawValue: 1 << 13)
  static let watchesMessage = SlotFlags(rawValue: 1 << 14)
  static let watchesClose = SlotFlags(rawValue: 1 << 15)

  // What epoll was last told.
  static let armedRead = SlotFlags(rawValue: 1 << 16)
  static let armedWrite = SlotFlags(rawValue: 1 << 17)

  var isGone: Bool { contains(.gone) }
  /// Nothing may be queued any more.
  var isSilent: Bool { !isDisjoint(with: [.closing, .gone, .overflowed]) }
}

/// What a connection needs only while something of it is half done.
struct Side: ~Copyable {
  var decoder: WebSocketDecoder
  /// What the kernel refused (reactor only; NIO keeps its own).
  var outbox = ByteQueue()

  init(messageBytesMax: Int) {
    decoder = WebSocketDecoder(messageBytesMax: messageBytesMax)
  }
}
