import AvaloReactor
import NIOCore

/// What every accepted connection meets: which requests become WebSockets, who decides, and where they live then.
/// One a listener; read by all loops.
struct FrontDoor: Sendable {
  /// Upgrades to other paths are HTTP's to refuse.
  var path = "/ws"
  var headTimeMax = TransportLimits.headTimeMax
  /// Decides on a proper handshake. Runs on the connection's event loop: it must not block.
  var policy: @Sendable (UpgradeRequest) -> UpgradeDecision
  /// Builds the HTTP pipeline of a connection that is no WebSocket yet, on its event loop, behind what is there. The channel
  /// is active already; the bytes read so far follow as the first `channelRead`.
  var http: @Sendable (any Channel, LaterHandshake) throws -> Void
  /// Plain connections go to the one with the fewest. Without any, they stay on NIO.
  var reactors: [ReactorHandle] = []
  /// Where TLS connections stay.
  var transports: NIOTransports
  /// Connections of any kind that there is room for; beyond, they are turned away unread.
  var connectionsMax = Int.max
  /// Of all listeners: those that are on NIO.
  var open = OpenCount()
  /// Connections per address; the reactors and the transports give the leases back.
  var addresses: AddressBudget?
  /// The address that a connection is counted for as soon as it comes; `nil` for a trusted proxy's, of which the request
  /// says whose it is.
  var acceptedAddress: @Sendable (String) -> String? = { _ in nil }
  /// The address that a WebSocket is counted for, if its connection was not: behind a trusted proxy, the one that it names.
  var countedAddress: @Sendable (UpgradeRequest) -> String = { $0.peerAddress }
  /// Whose PROXY headers are taken off connections; `nil`: nobody's.
  var headersOf: @Sendable () -> TrustedProxies? = { nil }
  /// Which pages may read a refusal of what was read so far.
  var corsHeaders: @Sendable (UnsafeRawBufferPointer) -> [(String, String)] = { _ in [] }
  var observe: @Sendable (UpgradeOutcome) -> Void = { _ in }

  /// Whether one more connection may come.
  var hasRoom: Bool { reactors.reduce(open.value) { $0 + $1.connectionCount } < connectionsMax }

  /// The reactor for the next plain connection.
  var reactor: ReactorHandle? {
    reactors.min { $0.connectionCount < $1.connectionCount }
  }
}
