import NIOCore

/// The bounds of the links between our processes.
public enum LinkLimits {
  /// Links of one server: gateways, and those of an instance that is being replaced.
  public static let linksMax = 256
  /// A hello or its answer: names and numbers.
  public static let handshakeBytesMax = 4 << 10
  /// From connecting to the answer to the hello.
  public static let handshakeTimeMax = TimeAmount.seconds(5)
  /// A link that said nothing for this long is asked.
  public static let probeInterval = TimeAmount.seconds(5)
  /// A link that stayed silent for so many intervals is dead: its process hangs or its machine stopped it.
  public static let silentIntervalsMax = 3
  /// What waits for a slow peer, beyond which the link is closed whatever its owner thinks.
  public static let backlogBytesMax = 64 << 20
  /// Marks of ``LinkDelegate/linkDrained(_:)``: some milliseconds of a busy link.
  public static let highWaterBytes = 4 << 20
  /// Below it an owner that waited sends again: far enough from the high mark to wait seldom.
  public static let lowWaterBytes = 1 << 20
  /// A written buffer that is kept for the next turn; a larger one was the exception.
  public static let spareBytesMax = 256 << 10
  /// Reads: a busy link's turn in one call, an idle one's in a page.
  public static let readBytesMin = 4 << 10
  /// Of one read; what is left waits in the kernel, so that one link does not keep the loop.
  public static let readBytesMax = 256 << 10
  /// Between two attempts to connect.
  public static let retryMin = TimeAmount.milliseconds(10)
  /// The longest of those delays: a worker that is back is found within a second.
  public static let retryMax = TimeAmount.seconds(1)
}

/// Time and room of one link; tests shorten them.
public struct LinkBounds: Sendable {
  public var handshakeTimeMax = LinkLimits.handshakeTimeMax
  public var probeInterval = LinkLimits.probeInterval
  public var silentIntervalsMax = LinkLimits.silentIntervalsMax
  public var backlogBytesMax = LinkLimits.backlogBytesMax
  public var highWaterBytes = LinkLimits.highWaterBytes
  public var lowWaterBytes = LinkLimits.lowWaterBytes
  public init() {}
}
