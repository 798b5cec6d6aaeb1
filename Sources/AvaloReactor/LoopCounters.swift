/// What a loop did since its start. Only ever goes up; read it on the loop.
public struct LoopCounters: Sendable, Equatable {
  public var turns: UInt64 = 0
  public var opened: UInt64 = 0
  public var closed: UInt64 = 0
  public var messagesReceived: UInt64 = 0
  /// Taken from sockets, frames and masks included.
  public var bytesReceived: UInt64 = 0
  /// System calls that wrote (reactor), or writes given to NIO.
  public var sends: UInt64 = 0
  public var bytesSent: UInt64 = 0
  /// Sends of which the kernel left something.
  public var partialSends: UInt64 = 0
  public var pingsSent: UInt64 = 0
  /// Ends by reason.
  public var closedIdle: UInt64 = 0
  public var closedSlow: UInt64 = 0
  public var closedProtocolError: UInt64 = 0
  /// Connections that could not be taken: no slot, or the kernel refused to watch them.
  public var refused: UInt64 = 0
}
