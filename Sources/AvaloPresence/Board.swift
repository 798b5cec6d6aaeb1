import AvaloCore
import AvaloWire

/// Who is here: every session of every gateway, and what follows for its user. A pure value: told what happened and when,
/// it asks no clock and does no I/O. Owned by the worker's loop.
///
/// The key of a session is (gateway incarnation, session number), so that a close removes only its own row
/// (delivery.md, rule 12). A user is online while a session of theirs is, and for a linger after the last one: a page that
/// reloads does not flap.
struct Board {
  struct Key: Hashable, Sendable {
    var incarnation: UInt64
    var session: UInt64
  }

  struct Connection: Sendable, Equatable {
    var user: String
    var device: String
    var platform: Platform
    var connectionID: String
    var connectedMilliseconds: Int64
    var seenMilliseconds: Int64
    /// Told by its gateway on the present link; rows of an earlier life of ours are not, until it speaks.
    var isConfirmed: Bool
  }

  struct User: Sendable, Equatable {
    var connections = 0
    var seenMilliseconds: Int64 = 0
    var platform = Platform.unknown
    /// With no connection left: online until then.
    var lingersUntil: Int64 = 0
  }

  /// What the file must learn.
  enum Change: Sendable, Equatable {
    case opened(Key, Connection)
    case closed(Key)
    case seen(Key, Int64)
    case user(String, seen: Int64, Platform)
  }

  private(set) var settings: PresenceSettings
  private(set) var connections: [Key: Connection] = [:]
  private(set) var users: [String: User] = [:]
  private(set) var changes: [Change] = []
  private var incarnationOfLink: Set<UInt64> = []
  private var named: [UInt64: Set<UInt64>] = [:]
  private var lingering: Set<String> = []
  /// Until then, monotonic or wall as the caller likes, rows of earlier lives are believed.
  private var unconfirmedUntil: Int64 = 0

  init(settings: PresenceSettings) { self.settings = settings }

  var onlineCount: Int { users.count }

  /// New bounds for what is here.
  mutating func apply(_ settings: PresenceSettings) { self.settings = settings }

  /// Rows that an earlier life of this worker left: believed until their gateway has spoken, or had time to.
  mutating func load(_ rows: [(key: Key, connection: Connection)], at now: Int64) {
    for var row in rows {
      row.connection.isConfirmed = false
      insert(row.key, row.connection)
    }
    unconfirmedUntil = now + settings.silenceMilliseconds
    changes.removeAll()
  }

  /// A gateway linked anew: it will name all its sessions.
  mutating func linkOpened(_ incarnation: UInt64) {
    incarnationOfLink.insert(incarnation)
    named[incarnation] = []
  }

  mutating func opened(_ entries: [Sessions.Entry], by incarnation: UInt64, at now: Int64) {
    for entry in entries {
      named[incarnation]?.insert(entry.session)
      let key = Key(incarnation: incarnation, session: entry.session)
      guard connections[key] == nil else {
        connections[key]?.isConfirmed = true
        continue
      }
      let connection = Connection(
        user: entry.user, device: entry.device, platform: entry.platform, connectionID: entry.connectionID,
        connectedMilliseconds: entry.connectedMilliseconds, seenMilliseconds: now, isConfirmed: true)
      insert(key, connection)
      changes.append(.opened(key, connection))
    }
  }

  /// The snapshot is complete: what this gateway did not name is gone.
  mutating func snapshotEnded(_ incarnation: UInt64, at now: Int64) {
    guard let named = named.removeValue(forKey: incarnation) else { return }
    for key in connections.keys where key.incarnation == incarnation && !named.contains(key.session) {
      remove(key, lingers: settings.lingerDropMilliseconds, at: now)
    }
  }

  mutating func closed(_ entries: [SessionsClosed.Entry], by incarnation: UInt64, at now: Int64) {
    for entry in entries {
      named[incarnation]?.remove(entry.session)
      remove(
        Key(incarnation: incarnation, session: entry.session),
        lingers: entry.clean ? settings.lingerCleanMilliseconds : settings.lingerDropMilliseconds, at: now)
    }
  }

  mutating func seen(_ sessions: [UInt64], by incarnation: UInt64, at now: Int64) {
    for session in sessions {
      let key = Key(incarnation: incarnation, session: session)
      guard connections[key] != nil else { continue }
      connections[key]?.seenMilliseconds = now
      changes.append(.seen(key, now))
    }
  }

  /// A gateway's link ended: its sessions get the time that a restart of either side takes.
  mutating func linkClosed(_ incarnation: UInt64, at now: Int64) {
    incarnationOfLink.remove(incarnation)
    named[incarnation] = nil
    for key in connections.keys where key.incarnation == incarnation { connections[key]?.isConfirmed = false }
    unconfirmedUntil = max(unconfirmedUntil, now + settings.silenceMilliseconds)
  }

  /// Once a second: lingers end, and rows that nobody confirmed in time.
  mutating func tick(at now: Int64) {
    for user in lingering where (users[user]?.lingersUntil ?? 0) <= now {
      lingering.remove(user)
      if users[user]?.connections == 0 { users[user] = nil }
    }
    guard unconfirmedUntil > 0, now >= unconfirmedUntil else { return }
    unconfirmedUntil = 0
    for (key, connection) in connections where !connection.isConfirmed { remove(key, lingers: 0, at: now) }
  }

  /// Removes connections that nobody has heard of for as long as `stale`; answers how many.
  mutating func sweep(at now: Int64) -> Int {
    let stale = connections.filter { now - $0.value.seenMilliseconds > settings.staleMilliseconds }.map(\.key)
    for key in stale { remove(key, lingers: 0, at: now) }
    return stale.count
  }

  /// `nil` when the user is not known here: then only the file knows when they were last seen.
  func entry(of user: String) -> PresenceAnswer.Entry? {
    users[user].map {
      PresenceAnswer.Entry(online: true, lastSeenMilliseconds: $0.seenMilliseconds, platform: $0.platform)
    }
  }

  mutating func takeChanges() -> [Change] {
    defer { changes.removeAll(keepingCapacity: true) }
    return changes
  }

  private mutating func insert(_ key: Key, _ connection: Connection) {
    connections[key] = connection
    var user = users[connection.user] ?? User()
    user.connections += 1
    user.seenMilliseconds = max(user.seenMilliseconds, connection.seenMilliseconds)
    if connection.platform != .unknown { user.platform = connection.platform }
    users[connection.user] = user
  }

  private mutating func remove(_ key: Key, lingers: Int64, at now: Int64) {
    guard let connection = connections.removeValue(forKey: key), var user = users[connection.user] else { return }
    changes.append(.closed(key))
    user.connections -= 1
    user.seenMilliseconds = max(user.seenMilliseconds, lingers == 0 ? connection.seenMilliseconds : now)
    if user.connections == 0 {
      user.lingersUntil = now + lingers
      lingering.insert(connection.user)
      changes.append(.user(connection.user, seen: user.seenMilliseconds, user.platform))
    }
    users[connection.user] = user
  }
}
