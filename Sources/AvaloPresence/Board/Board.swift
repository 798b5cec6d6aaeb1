import AvaloCore
import AvaloWire

/// Who is here: every session of every gateway, and what follows for its user. A pure value: told what happened and when,
/// it asks no clock and does no I/O. Owned by the worker's loop.
///
/// A user is online while a session of theirs is open, believed to be, or lingering. The story of a session reads
/// `opened → seen → closed → lingering → gone`, with `unconfirmed` whenever its gateway, or this process, was away.
/// A million sessions lie in a few arrays (about 200 bytes each, ids included): see ``Slab`` and ``TextHeap``.
struct Board {
  var settings: PresenceSettings
  var connections = Slab<ConnectionRow>()
  var users = Slab<UserRow>()
  var texts = TextHeap()
  var gateways: ContiguousArray<GatewayRow> = []
  /// By (gateway, session).
  private var sessionTable = IndexTable()
  /// By id.
  private var userTable = IndexTable()
  /// Rows with something to wait for (``ConnectionRow/until``); rows that do not wait any more may be among them.
  var waiting = ContiguousArray<UInt32>()
  var unwritten = Unwritten()

  init(settings: PresenceSettings) { self.settings = settings }

  /// New bounds for what is here.
  mutating func apply(_ settings: PresenceSettings) { self.settings = settings }

  var connectionCount: Int { connections.count }
  /// Users who are online, lingering ones included.
  private(set) var onlineCount = 0

  // MARK: - Finding

  func user(_ id: String) -> UInt32? {
    userTable.find(Board.hash(id.utf8)) { texts.equals(users[$0].id, id.utf8) }
  }

  func connection(_ session: UInt64, of gateway: UInt16) -> UInt32? {
    sessionTable.find(Board.hash(session, gateway)) {
      connections[$0].session == session && connections[$0].gateway == gateway
    }
  }

  func gateway(_ incarnation: UInt64) -> UInt16? {
    gateways.firstIndex { $0.incarnation == incarnation }.map { UInt16($0) }
  }

  /// `nil` when only the file may know the user.
  func entry(of id: String) -> PresenceAnswer.Entry? {
    guard let index = user(id) else { return nil }
    let user = users[index]
    let isOnline = user.firstConnection != Slab<ConnectionRow>.none
    return PresenceAnswer.Entry(
      online: isOnline, lastSeenMilliseconds: user.lastSeenMilliseconds, platform: isOnline ? user.platform : .unknown)
  }

  func key(of connection: ConnectionRow) -> SessionKey {
    SessionKey(incarnation: gateways[Int(connection.gateway)].incarnation, session: connection.session)
  }

  // MARK: - Rows

  /// The gateway's place; made when it is new.
  mutating func place(of incarnation: UInt64) -> UInt16 {
    if let known = gateway(incarnation) { return known }
    let row = GatewayRow(incarnation: incarnation)
    // A gateway without a link and without rows is forgotten: its place is free.
    if let free = gateways.firstIndex(where: { $0.link == nil && $0.connections == 0 }) {
      gateways[free] = row
      return UInt16(free)
    }
    precondition(gateways.count < Int(UInt16.max), "there are \(gateways.count) gateways")
    gateways.append(row)
    return UInt16(gateways.count - 1)
  }

  /// The user's row; made when they are not known here.
  mutating func obtain(_ id: String) -> UInt32 {
    if let known = user(id) { return known }
    var row = UserRow()
    row.flags = .used
    row.id = texts.insert(id)
    let index = users.insert(row)
    userTable.insert(index) { [users, texts] in texts.with(users[$0].id) { Board.hash($0) } }
    return index
  }

  @discardableResult
  mutating func insert(_ row: ConnectionRow, device: String, connectionID: String) -> UInt32 {
    var row = row
    row.device = texts.insert(device)
    row.connectionID = texts.insert(connectionID)
    row.next = users[row.user].firstConnection
    let index = connections.insert(row)
    if row.next == Slab<ConnectionRow>.none { onlineCount += 1 }
    users[row.user].firstConnection = index
    if row.platform != .unknown { users[row.user].platform = row.platform }
    gateways[Int(row.gateway)].connections += 1
    sessionTable.insert(index) { [connections] in Board.hash(connections[$0].session, connections[$0].gateway) }
    return index
  }

  /// Takes a connection out for good. The user, if it was their last one, is offline.
  mutating func remove(_ index: UInt32) {
    let row = connections[index]
    forget(row, index)
    sessionTable.remove(index) { [connections] in Board.hash(connections[$0].session, connections[$0].gateway) }
    unlink(index, of: row.user)
    texts.remove(row.device)
    texts.remove(row.connectionID)
    gateways[Int(row.gateway)].connections -= 1
    connections.remove(index)
    guard users[row.user].firstConnection == Slab<ConnectionRow>.none else { return }
    onlineCount -= 1
    markDirty(user: row.user)
  }

  private mutating func unlink(_ index: UInt32, of user: UInt32) {
    let next = connections[index].next
    guard users[user].firstConnection != index else { return users[user].firstConnection = next }
    var before = users[user].firstConnection
    while connections[before].next != index { before = connections[before].next }
    connections[before].next = next
  }

  /// Forgets a user of whom the file knows everything.
  mutating func releaseIfIdle(user index: UInt32) {
    let row = users[index]
    guard row.firstConnection == Slab<ConnectionRow>.none, row.flags == .used else { return }
    userTable.remove(index) { [users, texts] in texts.with(users[$0].id) { Board.hash($0) } }
    texts.remove(row.id)
    users.remove(index)
  }

  // MARK: - Hashes

  // Hasher's seed is drawn by each process: nobody outside can make ids collide.
  private static func hash(_ session: UInt64, _ gateway: UInt16) -> Int {
    var hasher = Hasher()
    hasher.combine(session)
    hasher.combine(gateway)
    return hasher.finalize()
  }

  private static func hash(_ text: some Collection<UInt8>) -> Int {
    var hasher = Hasher()
    if text.withContiguousStorageIfAvailable({ hasher.combine(bytes: UnsafeRawBufferPointer($0)) }) == nil {
      Array(text).withUnsafeBytes { hasher.combine(bytes: $0) }
    }
    return hasher.finalize()
  }
}
