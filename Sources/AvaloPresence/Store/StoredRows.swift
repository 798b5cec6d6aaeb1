import AvaloCore

/// A connection as the file has it. Times are of day, since another life or another boot will read them.
struct StoredConnection: Sendable, Equatable {
  var key: SessionKey
  var user: String
  var device: String
  var connectionID: String
  var platform: Platform
  var connectedMilliseconds: Int64
  var seenMilliseconds: Int64
  /// When it has ended: until when its device is taken to be there.
  var lingersMilliseconds: Int64?
}

/// What the file knows of a user.
struct StoredUser: Sendable, Equatable {
  var id: String
  /// Since 1970; 0 when never.
  var seenMilliseconds: Int64
  var platform: Platform
}

/// What the file must learn, in one transaction. Rows carry their index, for the board's sake.
struct RegistryChanges: Sendable {
  var connections: [(index: UInt32, row: StoredConnection)] = []
  var closed: [SessionKey] = []
  var users: [(index: UInt32, row: StoredUser)] = []

  var count: Int { connections.count + closed.count + users.count }
  var isEmpty: Bool { count == 0 }
}
