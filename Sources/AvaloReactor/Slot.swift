/// One connection in a loop's slab: 48 bytes. What an idle one never needs is in `side`, made on demand.
package struct Slot: BitwiseCopyable {
  /// The socket, owned by the slot; -1 when the transport keeps it (NIO), or the slot is free.
  package var descriptor: Int32 = -1
  /// Goes up each time a connection leaves, so that an id or an event of an older one is recognised.
  package var generation: UInt32 = 0
  package var flags: SlotFlags = []
  /// Loop seconds.
  package var lastReceived: UInt32 = 0
  /// The application's word.
  package var tag: UInt32 = 0
  /// Bytes queued in this turn.
  package var turnBytes: UInt32 = 0
  /// Bytes of earlier turns that the kernel has not taken.
  package var outstandingBytes: UInt32 = 0
  /// Which peer address it counts for (`AddressBudget`); the transport's to give back.
  package var addressLease: UInt32 = 0
  /// The turn's bytes: their start when they are one piece, a `PieceList` when `flags` says `.gathered`.
  package var turn: UnsafeRawPointer?
  package var side: UnsafeMutablePointer<Side>?
}

package struct SlotFlags: OptionSet, BitwiseCopyable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The application was told `opened`, and not yet `closed`.
  package static let open = SlotFlags(rawValue: 1 << 0)
  /// In the turn's list.
  package static let dirty = SlotFlags(rawValue: 1 << 1)
  /// `turn` is a `PieceList`.
  package static let gathered = SlotFlags(rawValue: 1 << 2)
  /// Its end is decided: nothing more is queued, nothing more is told but `closed`; what is queued is still written.
  package static let closing = SlotFlags(rawValue: 1 << 3)
  /// Everything is written and our side is shut; only the peer's end of stream is awaited.
  package static let lingering = SlotFlags(rawValue: 1 << 4)
  /// Free, or about to be at the turn's end.
  package static let gone = SlotFlags(rawValue: 1 << 5)
  /// A Close frame came.
  package static let closeReceived = SlotFlags(rawValue: 1 << 6)
  /// The application asked for the end.
  package static let closedByApplication = SlotFlags(rawValue: 1 << 7)
  /// The peer sends no more (end of stream).
  package static let peerFinished = SlotFlags(rawValue: 1 << 8)
  /// To be cut at once: the socket is broken, or what is written ends inside a frame and there is no room for the rest.
  package static let failed = SlotFlags(rawValue: 1 << 9)
  /// The write side moved since the last look (`Watch.stall`).
  package static let wrote = SlotFlags(rawValue: 1 << 10)
  /// A message was completed since the last look (`Watch.message`).
  package static let completedMessage = SlotFlags(rawValue: 1 << 11)

  /// The stream means nothing any more (a Close frame or a breach came): read and thrown away.
  package static let discardsInput = SlotFlags(rawValue: 1 << 18)

  // What the loop looks at once a second; each at most once in its list.
  package static let watchesPong = SlotFlags(rawValue: 1 << 12)
  package static let watchesStall = SlotFlags(rawValue: 1 << 13)
  package static let watchesMessage = SlotFlags(rawValue: 1 << 14)
  package static let watchesClose = SlotFlags(rawValue: 1 << 15)

  // What epoll was last told.
  package static let armedRead = SlotFlags(rawValue: 1 << 16)
  package static let armedWrite = SlotFlags(rawValue: 1 << 17)

  package var isGone: Bool { contains(.gone) }
  /// Nothing may be queued any more.
  package var isSilent: Bool { !isDisjoint(with: [.closing, .gone, .failed]) }
}

/// What a connection needs only while something of it is half done.
package struct Side: ~Copyable {
  /// Of a message or a frame that is half-read.
  var decoder: UnsafeMutablePointer<WebSocketDecoder>?
  /// What the kernel refused (reactor only; NIO keeps its own).
  var outbox = ByteQueue()

  deinit {
    decoder?.deinitialize(count: 1)
    decoder?.deallocate()
  }

  mutating func dropDecoder() {
    decoder?.deinitialize(count: 1)
    decoder?.deallocate()
    decoder = nil
  }
}
