import AvaloCore

/// How a client's connection is.
public enum ConnectionState: Sendable, Hashable {
  /// Until something happens: the reason says what.
  case disconnected(DisconnectReason)
  /// On the way, for the first time since ``RealtimeClient/connect()``.
  case connecting
  /// Events are coming in.
  case connected
  /// Lost, and on the way back.
  case reconnecting
}

/// Why a client is disconnected, and what leaves that state.
public enum DisconnectReason: String, Sendable, Hashable, CaseIterable {
  /// ``RealtimeClient/disconnect()`` was called, or nothing yet. Left by `connect`.
  case client
  /// Too many failures in a row. Left by `connect` and by ``RealtimeClient/networkBecameAvailable()``.
  case maxAttempts = "max_attempts"
  /// The token was refused, also after it was refreshed, or nobody is signed in. Left by a new token.
  case unauthenticated
  /// Nothing that was asked for is allowed. Left by `connect`.
  case permissionDenied = "permission_denied"
  /// The server did not understand this client. Left by `connect`.
  case badFrame = "bad_frame"
  /// The user has too many connections. Left by `connect`.
  case limit
  /// The engine is off for this user. Left by `connect`, say at the next start.
  case featureDisabled = "feature_disabled"
  /// A backend ended the user's connections. Left by `connect`.
  case disconnected
  /// Another request took this connection's place. Left by `connect`.
  case superseded
}
