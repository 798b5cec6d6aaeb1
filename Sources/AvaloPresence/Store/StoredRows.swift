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
  var activeMilliseconds: Int64
  /// When it has ended: until when its device is taken to be there.
  var lingersMilliseconds: Int64?
  /// What the user says of themselves on its device, and when among all that was said.
  var explicit: PresenceStatus?
  var order: UInt64 = 0
  /// Nobody is told that its user is there.
  var isHidden = false
}

/// What the file knows of a user, or is to know.
struct StoredUser: Sendable, Equatable {
  var id: String
  /// Everything is here. Otherwise only the times are, and the file keeps the rest as it is.
  var isWhole = true
  /// Since 1970; 0 when never.
  var seenMilliseconds: Int64 = 0
  /// Since 1970; 0 when never.
  var activeMilliseconds: Int64 = 0
  /// The monotonic time in ``UserDetails/bare`` is no one's.
  var details = UserDetails()
  /// Since 1970.
  var bareUntilMilliseconds: Int64?

  /// Nothing is known of them: no row says as much.
  var isNobody: Bool {
    isWhole && seenMilliseconds == 0 && activeMilliseconds == 0 && details == UserDetails()
      && bareUntilMilliseconds == nil
  }
}

/// What the file must learn, in one transaction. Rows carry their index, for the board's sake.
struct RegistryChanges: Sendable {
  var connections: [(index: UInt32, row: StoredConnection)] = []
  var closed: [SessionKey] = []
  var users: [(index: UInt32, row: StoredUser)] = []
  /// Versions up to this one may be used.
  var versionsReserved: UInt64?

  /// Rows.
  var count: Int { connections.count + closed.count + users.count }
}

/// What the file knows when a life begins.
struct StoredRegistry: Sendable {
  var connections: [StoredConnection] = []
  /// Users with a status that no device carries.
  var bare: [StoredUser] = []
  var versions: VersionCounter
}
