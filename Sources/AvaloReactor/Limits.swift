/// The bounds of the data plane that nobody configures; what an operator may change is in `LoopSettings`.
enum Limits {
  /// An arena grows by this much: a few hundred connections' bytes of one turn, and small enough to keep.
  static let arenaChunkBytes = 256 << 10
  /// Chunks an arena keeps between turns: 1 MiB a loop, so that a steady fan-out does not go back to the allocator.
  static let arenaChunksKept = 4
  /// One read of a socket. As much as a turn takes from one connection, which keeps a flood fair to the others.
  static let readBytes = 64 << 10
  /// Bytes queued on one connection in one turn. Far above any honest turn; keeps the counters within 32 bits.
  static let turnBytesMax = 256 << 20
  /// Pieces in one system call (UIO_MAXIOV, writev(2)).
  static let piecesPerSend = 1024
  /// Pieces a connection's list starts with, when a turn brings it a second one.
  static let piecesInitial = 8
  /// Ready descriptors taken from epoll at once.
  static let eventsPerTurn = 512
  /// RFC 6455 §5.5: all control frames have a payload of 125 bytes or less.
  static let controlPayloadBytesMax = 125
  /// A reason in a Close frame shares those with the two bytes of the code.
  static let closeReasonBytesMax = controlPayloadBytesMax - 2
  /// A request head. Browsers send 1 to 2 KiB, cookies and a token in the subprotocol may double that.
  static let headBytesMax = 16 << 10
  /// Header lines in a request head: NIO's own bound is of this size, no browser sends 40.
  static let headLinesMax = 100
  /// Subprotocols a client may offer.
  static let subprotocolsMax = 16
  /// Half-done things (a close, a slow message) are looked at once a second, silent connections in this many parts
  /// of the ping interval: with 5, a client is pinged after 20 to 25 s of silence.
  static let pingVisitsPerInterval: UInt32 = 5
  /// A thread of the reactor needs little stack: there is no recursion in it.
  static let stackBytes = 1 << 20
}
