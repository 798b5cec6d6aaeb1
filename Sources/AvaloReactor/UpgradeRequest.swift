/// What a client asked for when it opened a WebSocket: the parts of its request that a policy needs.
public struct UpgradeRequest: Sendable, Equatable {
  /// As sent, up to the `?`. Not percent-decoded.
  public var path: String
  /// As sent, after the `?`; empty without one.
  public var query: String
  /// Absent when the client is no browser.
  public var origin: String?
  /// Every subprotocol offered, in the client's order, from all `Sec-WebSocket-Protocol` lines.
  public var protocols: [String]
  /// The whole value of `Authorization`.
  public var authorization: String?
  /// The whole value of `X-Forwarded-For`, which only means something behind a trusted proxy.
  public var forwardedFor: String?
  /// The numeric address of the socket's other end, without port; empty for a Unix socket. Not part of the head.
  public var peerAddress: String

  public init(
    path: String, query: String = "", origin: String? = nil, protocols: [String] = [], authorization: String? = nil,
    forwardedFor: String? = nil, peerAddress: String = ""
  ) {
    self.path = path
    self.query = query
    self.origin = origin
    self.protocols = protocols
    self.authorization = authorization
    self.forwardedFor = forwardedFor
    self.peerAddress = peerAddress
  }
}
