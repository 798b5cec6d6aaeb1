/// What an operator may change about a loop's connections; the same for both transports.
public struct LoopSettings: Sendable, Equatable {
  /// Connections on one loop. Address space is reserved for all of them (48 bytes each), memory only for those that
  /// were ever there.
  public var connectionsMax = 65_536
  /// One message of a client, all fragments together: 64 KiB of payload and the call around it. Beyond: 1009.
  public var messageBytesMax = 80 << 10
  /// Bytes the kernel refused and we hold for one connection. The hub parks long before; beyond it: 4002.
  public var outboxBytesMax = 4 << 20
  /// A client that sends nothing for this long is pinged (up to a fifth earlier, so that pings are spread).
  public var pingIntervalSeconds: UInt32 = 25
  /// Silence for the interval and this: 4003.
  public var pingGraceSeconds: UInt32 = 10
  /// An outbox of which the peer takes nothing for this long: 4002.
  public var stallSecondsMax: UInt32 = 20
  /// From the first byte of a message to its last: 4003. A phone on a bad network sends 80 KiB in less.
  public var messageSecondsMax: UInt32 = 30
  /// From our Close frame to the peer's answer; then the connection is cut.
  public var closeSecondsMax: UInt32 = 5

  public init() {}
}
