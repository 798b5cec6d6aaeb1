import NIOCore

/// The bounds of accepting and of handing over.
enum TransportLimits {
  /// From accept to the end of the request head, a TLS handshake included. A slow phone needs two; who needs more holds a
  /// descriptor for nothing.
  static let headTimeMax = TimeAmount.seconds(10)
  /// A PROXY header behind its 16 bytes: addresses, and what some proxies add about TLS.
  static let proxyHeaderBytesMax = 2048
  /// After a refusal: time to read it before the connection is cut.
  static let lingerTimeMax = TimeAmount.seconds(2)
  /// Connections taken from the backlog before others get a turn: a reconnect storm is accepted in few wake-ups, while
  /// those who are there are still served in between.
  static let acceptsPerTurn: UInt = 16
  /// Connections of the backlog that are turned away in one turn, when there is no descriptor for them.
  static let shedPerTurn = 64
  /// Before accepting is tried again when not even turning away was possible: short for a client, long for a loop.
  static let acceptPause = TimeAmount.milliseconds(100)
  /// Descriptors that no connection gets, a 64th of them within these bounds: the links, the metrics, the files of a
  /// reload, and the second descriptor of a connection that is just handed over.
  static let descriptorsKept = 16...256
  /// What the process has open at its start, where /proc is not to be read.
  static let descriptorsUsedGuess = 64
  /// What a client that found no room is told to wait.
  static let retryAfterSeconds = 1
  /// A read buffer's sizes: most requests fit in the first, and an idle connection holds the smallest (2.5 KB less a
  /// connection than NIO's defaults).
  static let readBufferBytes = (minimum: 256, initial: 512, maximum: 65_536)
  /// What a loop decodes at once.
  static let decodedBytesMax = 64 << 10
}
