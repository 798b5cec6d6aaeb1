import AvaloCore

/// What the file does not have yet: indices of rows and keys, never copies of values, so that a row that changes again
/// before it is written is written once, and what waits is bounded by what is here.
struct Unwritten {
  /// Marked ``ConnectionRow/Flags/dirty``; rows that are not any more may be among them.
  var connections = ContiguousArray<UInt32>()
  /// Rows of the file that are none here.
  var closed = ContiguousArray<SessionKey>()
  /// Marked ``UserRow/Flags/dirty``.
  var users = ContiguousArray<UInt32>()
  /// Users that were forgotten unwritten, since there were too many.
  fileprivate var lostUsers = 0

  var count: Int { connections.count + closed.count + users.count }

  /// How many users were forgotten since the last call.
  mutating func takeLostUsers() -> Int {
    defer { lostUsers = 0 }
    return lostUsers
  }
}

// What must be written, in batches: taken, then either written or given back.
extension Board {

  mutating func markDirty(connection index: UInt32) {
    guard !connections[index].flags.contains(.dirty) else { return }
    connections[index].flags.insert(.dirty)
    unwritten.connections.append(index)
  }

  mutating func markDirty(user index: UInt32) {
    guard !users[index].flags.contains(.dirty) else { return }
    users[index].flags.insert(.dirty)
    unwritten.users.append(index)
  }

  /// A connection is about to be taken out: the file forgets it too, if it has it or may be getting it just now.
  mutating func forget(_ row: ConnectionRow, _ index: UInt32) {
    if !row.flags.isDisjoint(with: [.inFile, .writing]) { unwritten.closed.append(key(of: row)) }
  }

  /// Whether there is anything to write.
  var hasUnwritten: Bool { unwritten.count > 0 || versions.needsReserve }

  /// The next batch, of at most about `max` rows; ``written(_:)`` or ``notWritten(_:)`` says what became of it. One at a
  /// time.
  mutating func takeUnwritten(max: Int, at now: Moment) -> RegistryChanges {
    var changes = RegistryChanges()
    changes.versionsReserved = versions.takeReserve()
    changes.closed = Array(unwritten.closed.prefix(max))
    unwritten.closed.removeFirst(changes.closed.count)
    let users = unwritten.users.prefix(Swift.max(0, max - changes.count))
    unwritten.users.removeFirst(users.count)
    for index in users where self.users[index].flags.contains(.dirty) {
      changes.users.append(take(user: index, at: now))
    }
    let rows = unwritten.connections.prefix(Swift.max(0, max - changes.count))
    unwritten.connections.removeFirst(rows.count)
    for index in rows where connections[index].flags.contains(.dirty) {
      changes.connections.append(take(connection: index, at: now))
    }
    return changes
  }

  mutating func written(_ changes: RegistryChanges) {
    if changes.versionsReserved != nil { versions.reserveEnded(written: true) }
    for (index, stored) in changes.connections where isStill(index, stored) {
      connections[index].flags.remove(.writing)
      connections[index].flags.insert(.inFile)
    }
    for (index, _) in changes.users {
      users[index].flags.remove(.writing)
      releaseIfIdle(user: index)
    }
  }

  /// The file did not take them: they wait on, unless they changed meanwhile and wait already.
  mutating func notWritten(_ changes: RegistryChanges) {
    if changes.versionsReserved != nil { versions.reserveEnded(written: false) }
    unwritten.closed.append(contentsOf: changes.closed)
    for (index, stored) in changes.connections where isStill(index, stored) {
      connections[index].flags.remove(.writing)
      markDirty(connection: index)
    }
    for (index, _) in changes.users {
      users[index].flags.remove(.writing)
      markDirty(user: index)
    }
    boundUsers()
  }

  /// While the file takes nothing, users who leave stay here; beyond the bound those that left first are forgotten.
  private mutating func boundUsers() {
    let excess = unwritten.users.count - PresenceLimits.unwrittenUsersMax
    guard excess > 0 else { return }
    for index in unwritten.users.prefix(excess) {
      users[index].flags.remove(.dirty)
      unwritten.lostUsers += 1
      releaseIfIdle(user: index)
    }
    unwritten.users.removeFirst(excess)
  }

  /// Indices are used again; keys never are.
  private func isStill(_ index: UInt32, _ stored: StoredConnection) -> Bool {
    !connections[index].isFree && key(of: connections[index]) == stored.key
  }

  private mutating func take(connection index: UInt32, at now: Moment) -> (UInt32, StoredConnection) {
    connections[index].flags.remove(.dirty)
    connections[index].flags.insert(.writing)
    let row = connections[index]
    return (
      index,
      StoredConnection(
        key: key(of: row), user: texts[users[row.user].id], device: texts[row.device],
        connectionID: texts[row.connectionID], platform: row.platform,
        connectedMilliseconds: row.connectedMilliseconds, seenMilliseconds: now.wall(of: row.seen),
        activeMilliseconds: now.wall(of: row.active),
        lingersMilliseconds: row.state == .lingering ? now.wall(of: row.until) : nil, explicit: row.explicit,
        order: row.order, isHidden: row.flags.contains(.hidden))
    )
  }

  private mutating func take(user index: UInt32, at now: Moment) -> (UInt32, StoredUser) {
    users[index].flags.remove(.dirty)
    users[index].flags.insert(.writing)
    let row = users[index]
    let details = self.details[index] ?? UserDetails()
    return (
      index,
      StoredUser(
        id: texts[row.id], isWhole: row.flags.contains(.whole), seenMilliseconds: row.lastSeenMilliseconds,
        activeMilliseconds: row.lastActiveMilliseconds, details: details,
        bareUntilMilliseconds: details.bare.map { now.wall(of: $0.until) })
    )
  }
}
