/// The hub's side of a loop. Every call comes on the loop's own thread, and none of them from inside a call of the
/// application to its `ConnectionWriter`: what a call causes is told later in the turn, or in the next.
public protocol LoopApplication: AnyObject {
  /// A WebSocket was upgraded; its `101` is queued already. `closed` will follow, exactly once.
  func opened(_ connection: ConnectionID, _ request: UpgradeRequest)

  /// One whole text message, checked to be UTF-8. The bytes are the loop's read buffer: they are valid only during the
  /// call, and must be copied to be queued.
  func message(_ connection: ConnectionID, _ text: UnsafeRawBufferPointer)

  /// The peer broke the protocol, or sent more than it may: it is being closed with that code (RFC 6455 §7.4.1).
  func refused(_ connection: ConnectionID, code: UInt16)

  /// The kernel has taken what it had refused in earlier turns: the backlog is empty again.
  func drained(_ connection: ConnectionID)

  /// The connection is over; nothing can be queued on it any more. `clean` when the peer said so with a Close frame, or
  /// the application itself closed it: not for a drop, a timeout, or a breach of the protocol.
  func closed(_ connection: ConnectionID, clean: Bool)

  /// Somebody called the loop's `Waker`, once or more often.
  func woken()

  /// Once a second, by the monotonic clock; `ConnectionWriter.nowSeconds` has advanced.
  func tick()

  /// The last chance to queue in this turn: everything queued is sent after it.
  func turnEnding()

  /// What the turn queued is sent, or put aside where the kernel refused it. Nothing may be queued here.
  func turnEnded()
}

extension LoopApplication {
  public func refused(_ connection: ConnectionID, code: UInt16) {}
  public func turnEnded() {}
}
