import AvaloCore

/// How a ``RealtimeClient`` connects and what it begins with.
public struct ClientOptions: Sendable {
  /// Where the server is.
  public var endpoint: Endpoint
  /// Names this installation: the server keeps, for each device, up to where it has processed its topics. Keep it over
  /// restarts of the application; without one, a name is drawn that ends with the client.
  public var deviceID: String?
  /// What kind of device this is, for those who see the user's presence.
  public var platform = Platform.unknown
  /// Topics to begin with, beside the user's own inbox.
  public var topics: [String] = []
  /// Milliseconds: the first delay's upper bound, doubled with each failure up to 30 s.
  public var reconnectIntervalMilliseconds = 3_000
  /// Failures in a row after which the client rests, until the network is back or `connect` is called.
  public var reconnectAttemptsMax = 10
  /// Milliseconds between two pings; the server's wish counts when it is shorter.
  public var pingIntervalMilliseconds = 25_000
  /// How long a call may take.
  public var callTimeout = Duration.milliseconds(ClientLimits.callTimeoutMilliseconds)
  /// Keeps the device's positions over restarts of the application, so that nothing is handed to it twice. Without it the
  /// server's own cursor for the device counts, which is a moment behind.
  public var cursors: (any CursorStore)?
  /// For `https` and `wss` endpoints.
  public var security = TransportSecurity()
  /// The best one first. By default a WebSocket, a stream where those do not pass, and held polls where nothing streams.
  public var transports: [any RealtimeTransport]?

  /// Of a server whose address is known already.
  public init(_ endpoint: Endpoint, deviceID: String? = nil, topics: [String] = []) {
    self.endpoint = endpoint
    self.deviceID = deviceID
    self.topics = topics
  }

  /// - `url`: `https://rt.example.com`. Throws ``ClientError/broken(_:)`` when it is none.
  public init(url: String, deviceID: String? = nil, topics: [String] = []) throws(ClientError) {
    guard let endpoint = Endpoint(url: url) else { throw .broken("\(url) is not a URL like https://rt.example.com") }
    self.init(endpoint, deviceID: deviceID, topics: topics)
  }
}
