import AvaloCore
import AvaloWire

/// Who is here and how: every session of every gateway, what users say of themselves, who watches whom, and what follows.
/// A pure value: told what happened and when, it asks no clock and does no I/O. Owned by the worker's loop.
///
/// The story of a session reads `opened → seen → closed → lingering → gone`, with `unconfirmed` whenever its gateway, or
/// this process, was away; a user's presence is the merge of their sessions (``StatusMerge``). Whatever may have changed
/// one is marked, and ``takeChanges(at:)`` tells what really has. A million sessions lie in a few arrays (about 200 bytes
/// each, ids included): see ``Slab`` and ``TextHeap``.
struct Board {
  var settings: PresenceSettings
  var connections = Slab<ConnectionRow>()
  var users = Slab<UserRow>()
  var watches = Slab<WatchRow>()
  var texts = TextHeap()
  var details: [UInt32: UserDetails] = [:]
  var gateways: ContiguousArray<GatewayRow> = []
  /// Watches by handle, by link.
  var watchesOfLink: [UInt16: [UInt32: UInt32]] = [:]
  /// By (gateway, session).
  private var sessionTable = IndexTable()
  /// By id.
  private var userTable = IndexTable()
  /// By the connection's id, of each the first that came: many may have the same, and would make a table long to search.
  private var nameTable = IndexTable()
  var versions: VersionCounter

  /// Rows with something to wait for (``ConnectionRow/until``); rows that do not wait any more may be among them.
  var waiting = ContiguousArray<UInt32>()
  /// Users with a ``BareStatus`` that no device carries; others may be among them.
  var bare = ContiguousArray<UInt32>()
  /// Users whose presence may be another than it was.
  var touched = ContiguousArray<UInt32>()
  /// Users of whom the file must be asked.
  var wanted = ContiguousArray<UInt32>()
  var unwritten = Unwritten()
  var settling: Settling?
  /// Users who are shown as other than offline.
  var onlineCount = 0

  init(settings: PresenceSettings, versions: VersionCounter) {
    self.settings = settings
    self.versions = versions
  }

  /// New bounds for what is here.
  mutating func apply(_ settings: PresenceSettings) { self.settings = settings }

  var connectionCount: Int { connections.count }

  // MARK: - Finding

  func user(_ id: String) -> UInt32? {
    userTable.find(Board.hash(id.utf8)) { texts.equals(users[$0].id, id.utf8) }
  }

  func connection(_ session: UInt64, of gateway: UInt16) -> UInt32? {
    sessionTable.find(Board.hash(session, gateway)) {
      connections[$0].session == session && connections[$0].gateway == gateway
    }
  }

  /// Whether a connection of that id is somebody else's, and none is this user's: whoever has one may name it.
  func isAnothers(_ connectionID: String, than user: String) -> Bool {
    guard let first = connection(named: connectionID) else { return false }
    guard let user = self.user(user) else { return true }
    var index = users[user].firstConnection
    while connections[first].user != user, index != Slab<ConnectionRow>.none {
      if texts.equals(connections[index].connectionID, connectionID.utf8) { return false }
      index = connections[index].next
    }
    return connections[first].user != user
  }

  private func connection(named id: String) -> UInt32? {
    nameTable.find(Board.hash(id.utf8)) { texts.equals(connections[$0].connectionID, id.utf8) }
  }

  func gateway(_ incarnation: UInt64) -> UInt16? {
    gateways.firstIndex { $0.incarnation == incarnation }.map { UInt16($0) }
  }

  /// Whose session it is; `nil` when it is not known.
  func user(of key: SessionKey) -> String? {
    gateway(key.incarnation).flatMap { connection(key.session, of: $0) }.map { texts[users[connections[$0].user].id] }
  }

  func key(of connection: ConnectionRow) -> SessionKey {
    SessionKey(incarnation: gateways[Int(connection.gateway)].incarnation, session: connection.session)
  }

  /// Calls `body` with each of a user's connections; `body` may take out the one it is given.
  mutating func forEachConnection(of user: UInt32, _ body: (inout Board, UInt32) -> Void) {
    var index = users[user].firstConnection
    while index != Slab<ConnectionRow>.none {
      let next = connections[index].next
      body(&self, index)
      index = next
    }
  }

  func hasConnections(_ user: UInt32) -> Bool { users[user].firstConnection != Slab<ConnectionRow>.none }

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
    if connection(named: connectionID) == nil { row.flags.insert(.named) }
    row.device = texts.insert(device)
    row.connectionID = texts.insert(connectionID)
    row.next = users[row.user].firstConnection
    let index = connections.insert(row)
    users[row.user].firstConnection = index
    details[row.user]?.bare?.isBound = true
    gateways[Int(row.gateway)].connections += 1
    sessionTable.insert(index) { [connections] in Board.hash(connections[$0].session, connections[$0].gateway) }
    if row.flags.contains(.named) { nameTable.insert(index, hash: hashOfName) }
    touch(row.user)
    return index
  }

  /// Takes a connection out for good. With the last one goes what lived on the user's devices.
  mutating func remove(_ index: UInt32) {
    let row = connections[index]
    forget(row, index)
    sessionTable.remove(index) { [connections] in Board.hash(connections[$0].session, connections[$0].gateway) }
    if row.flags.contains(.named) { nameTable.remove(index, hash: hashOfName) }
    unlink(index, of: row.user)
    if row.flags.contains(.named) { passOn(row.connectionID, to: row.user) }
    texts.remove(row.device)
    texts.remove(row.connectionID)
    gateways[Int(row.gateway)].connections -= 1
    connections.remove(index)
    touch(row.user)
    guard !hasConnections(row.user) else { return }
    if details[row.user]?.bare?.isBound == true { details[row.user]?.bare = nil }
    markDirty(user: row.user)
  }

  /// A page that came back before its last connection was over has its id still.
  private mutating func passOn(_ connectionID: TextHeap.Reference, to user: UInt32) {
    let id = texts[connectionID]
    var index = users[user].firstConnection
    while index != Slab<ConnectionRow>.none, !texts.equals(connections[index].connectionID, id.utf8) {
      index = connections[index].next
    }
    guard index != Slab<ConnectionRow>.none else { return }
    connections[index].flags.insert(.named)
    nameTable.insert(index, hash: hashOfName)
  }

  private mutating func unlink(_ index: UInt32, of user: UInt32) {
    let next = connections[index].next
    guard users[user].firstConnection != index else { return users[user].firstConnection = next }
    var before = users[user].firstConnection
    while connections[before].next != index { before = connections[before].next }
    connections[before].next = next
  }

  /// The user's presence may be another now.
  mutating func touch(_ user: UInt32) {
    guard !users[user].flags.contains(.touched) else { return }
    users[user].flags.insert(.touched)
    touched.append(user)
  }

  /// Forgets a user of whom the file knows everything and whom nobody watches.
  mutating func releaseIfIdle(user index: UInt32) {
    let row = users[index]
    let busy: UserRow.Flags = [.dirty, .writing, .loading, .touched]
    guard row.firstConnection == Slab<ConnectionRow>.none, row.firstWatch == Slab<WatchRow>.none,
      row.flags.isDisjoint(with: busy), details[index]?.bare == nil
    else { return }
    userTable.remove(index) { [users, texts] in texts.with(users[$0].id) { Board.hash($0) } }
    texts.remove(row.id)
    users.remove(index)
    details[index] = nil
  }

  // MARK: - Hashes

  private var hashOfName: (UInt32) -> Int {
    { [connections, texts] in texts.with(connections[$0].connectionID) { Board.hash($0) } }
  }

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
