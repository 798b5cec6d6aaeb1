import AvaloCore

/// A way to carry a connection. The client is given some, the best one first; whoever has another network stack writes
/// one of their own.
public protocol RealtimeTransport: Sendable {
  /// For people: `websocket`, `sse`, `poll`.
  var name: String { get }
  /// Whether calls, acknowledgements and pings go over it; otherwise it only brings, and has a few topics.
  var isDuplex: Bool { get }
  /// Whether it brings more only when what it brought is processed: its silence until then says nothing, and it has no
  /// presence. By default so for what is not duplex.
  var isPolled: Bool { get }

  /// Begins a connection at once, and tells what becomes of it, in order, from any thread: `closed` is told once, and
  /// last, unless the link is closed from here.
  func open(
    _ opening: TransportOpening, _ tell: @escaping @Sendable (TransportEvent) -> Void
  ) -> any TransportLink

  /// Whether it would pass here, found out beside a connection that is carried otherwise.
  func passes(_ opening: TransportOpening) async -> Bool
}

extension RealtimeTransport {
  public var isPolled: Bool { !isDuplex }
}

/// What a transport needs to make a connection.
public struct TransportOpening: Sendable {
  /// Where the server is.
  public var endpoint: Endpoint
  /// Who connects, with the token, and what for.
  public var request: ConnectRequest

  /// Of both.
  public init(endpoint: Endpoint, request: ConnectRequest) {
    self.endpoint = endpoint
    self.request = request
  }
}

/// What happens on a connection.
public enum TransportEvent: Sendable {
  /// A frame came; ``ServerFrame/ready(_:)`` first.
  case frame(ServerFrame)
  /// Something came that is no frame, and a sign of life all the same.
  case alive
  /// It is over.
  case closed(TransportEnding)
}

/// One connection, whatever carries it. May be used from any thread.
public protocol TransportLink: Sendable {
  /// Only on a duplex one that is ready.
  func send(_ frame: ClientFrame)
  /// Reads no further, or goes on.
  func setReading(_ isReading: Bool)
  /// Ends it without another word from it; what was sent goes out before.
  func close()
  /// Returns when nothing of it is left, after ``close()`` or not.
  func waitUntilClosed() async
}
