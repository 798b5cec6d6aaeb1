import AvaloCore
import AvaloWire

// What gateways say of their sessions, and what follows when they say nothing.
extension Board {

  /// What an earlier life of this worker left: shown as it was until the gateways have spoken, or had time to.
  mutating func load(_ rows: [StoredConnection], bare: [StoredUser] = [], at now: Moment) {
    for stored in rows { load(stored, at: now) }
    for stored in bare { loaded(obtain(stored.id), stored, at: now) }
    // As it was shown before: no change.
    for user in touched { users[user].flags.remove(.touched) }
    for user in touched { adopt(user, at: now) }
    touched.removeAll()
    settling = Settling(
      awaiting: Set(gateways.map(\.incarnation)), until: now.monotonic + PresenceLimits.settleMilliseconds)
  }

  private mutating func load(_ stored: StoredConnection, at now: Moment) {
    let user = obtain(stored.user)
    var row = ConnectionRow()
    row.session = stored.key.session
    row.gateway = place(of: stored.key.incarnation)
    guard connection(row.session, of: row.gateway) == nil else { return }
    row.user = user
    row.connectedMilliseconds = stored.connectedMilliseconds
    row.platform = stored.platform
    row.explicit = stored.explicit
    row.order = stored.order
    row.seen = now.monotonic(of: stored.seenMilliseconds, within: -PresenceLimits.ageMillisecondsMax...0)
    row.active = now.monotonic(of: stored.activeMilliseconds, within: -PresenceLimits.ageMillisecondsMax...0)
    row.flags = stored.isHidden ? [.inFile, .hidden] : .inFile
    if let lingers = stored.lingersMilliseconds {
      row.state = .lingering
      row.until = now.monotonic(of: lingers, within: 0...settings.lingerMillisecondsMax)
    } else {
      row.state = .unconfirmed
      row.until = now.monotonic + settings.silenceMilliseconds
    }
    waiting.append(insert(row, device: stored.device, connectionID: stored.connectionID))
    users[user].lastSeenMilliseconds = max(users[user].lastSeenMilliseconds, stored.seenMilliseconds)
    users[user].lastActiveMilliseconds = max(users[user].lastActiveMilliseconds, stored.activeMilliseconds)
  }

  /// A gateway linked: it will name all its sessions. Those it had on an earlier link are in doubt until it has.
  mutating func linkOpened(_ incarnation: UInt64, _ link: ObjectIdentifier, at now: Moment) {
    let gateway = place(of: incarnation)
    gateways[Int(gateway)].link = link
    doubt(gateway, for: settings.silenceMilliseconds, at: now)
  }

  mutating func opened(_ entries: [Sessions.Entry], by incarnation: UInt64, at now: Moment) {
    let gateway = place(of: incarnation)
    for entry in entries {
      if let known = connection(entry.session, of: gateway) {
        confirm(known, at: now)
        show(known, entry.isShown)
      } else {
        open(entry, gateway, at: now)
      }
    }
  }

  /// The gateway named every session it has: what it did not name has ended while nobody told us.
  mutating func snapshotEnded(_ incarnation: UInt64, at now: Moment) {
    settling?.spoke(incarnation)
    guard let gateway = gateway(incarnation) else { return }
    for index in rows(of: gateway) where connections[index].state == .unconfirmed {
      linger(index, for: settings.lingerDropMilliseconds, at: now)
    }
  }

  mutating func closed(_ entries: [SessionsClosed.Entry], by incarnation: UInt64, at now: Moment) {
    guard let gateway = gateway(incarnation) else { return }
    for entry in entries {
      guard let index = connection(entry.session, of: gateway), connections[index].state != .lingering else { continue }
      see(index, at: now)
      linger(
        index, for: entry.clean ? settings.lingerCleanMilliseconds : settings.lingerDropMilliseconds, at: now)
    }
  }

  /// Sessions whose client was heard of.
  mutating func seen(_ entries: [SessionsSeen.Entry], by incarnation: UInt64, at now: Moment) {
    guard let gateway = gateway(incarnation) else { return }
    for entry in entries {
      guard let index = connection(entry.session, of: gateway), connections[index].state != .lingering else { continue }
      confirm(index, at: now)
      see(index, at: now)
      if entry.active { act(index, at: now) }
      markDirty(connection: index)
    }
  }

  /// A gateway's link ended, and with it mostly the gateway and all its connections: their users get the time that they have
  /// after any connection that was lost. One that lives links anew before.
  mutating func linkClosed(_ incarnation: UInt64, _ link: ObjectIdentifier, at now: Moment) {
    guard let gateway = gateway(incarnation), gateways[Int(gateway)].link == link else { return }
    gateways[Int(gateway)].link = nil
    doubt(gateway, for: max(settings.lingerDropMilliseconds, PresenceLimits.relinkMilliseconds), at: now)
  }

  // MARK: - Steps

  private mutating func open(_ entry: Sessions.Entry, _ gateway: UInt16, at now: Moment) {
    var row = ConnectionRow()
    row.session = entry.session
    row.gateway = gateway
    row.user = obtain(entry.user)
    row.connectedMilliseconds = entry.connectedMilliseconds
    row.platform = entry.platform
    row.seen = now.monotonic
    row.active = now.monotonic
    row.state = .open
    if !entry.isShown { row.flags = .hidden }
    (row.explicit, row.order) = comeBack(row.user, device: entry.device)
    let index = insert(row, device: entry.device, connectionID: entry.connectionID)
    see(index, at: now)
    if entry.isShown { users[row.user].lastActiveMilliseconds = now.wall }
    markDirty(connection: index)
  }

  /// A device that is back does not linger any more, at a gateway that is gone neither, and keeps what its user said on it.
  private mutating func comeBack(_ user: UInt32, device: String) -> (PresenceStatus?, order: UInt64) {
    var said: (PresenceStatus?, order: UInt64) = (nil, 0)
    // From before it may be bound to the device that is about to be replaced.
    let bare = details[user]?.bare
    forEachConnection(of: user) { board, index in
      let row = board.connections[index]
      guard board.texts.equals(row.device, device.utf8) else { return }
      said = (row.explicit, row.order)
      let isGone = row.state == .unconfirmed && board.gateways[Int(row.gateway)].link == nil && board.settling == nil
      if row.state == .lingering || isGone { board.remove(index) }
    }
    if let bare { details[user]?.bare = bare }
    return said
  }

  private mutating func confirm(_ index: UInt32, at now: Moment) {
    if connections[index].state == .lingering { markDirty(connection: index) }
    connections[index].state = .open
    connections[index].seen = now.monotonic
  }

  /// Whether others are told may have been changed while the gateway was away.
  private mutating func show(_ index: UInt32, _ isShown: Bool) {
    guard connections[index].flags.contains(.hidden) == isShown else { return }
    connections[index].flags.formSymmetricDifference(.hidden)
    touch(connections[index].user)
    markDirty(connection: index)
  }

  private mutating func linger(_ index: UInt32, for milliseconds: Int64, at now: Moment) {
    guard milliseconds > 0 else { return remove(index) }
    connections[index].state = .lingering
    connections[index].until = now.monotonic + milliseconds
    waiting.append(index)
    markDirty(connection: index)
  }

  private mutating func doubt(_ gateway: UInt16, for milliseconds: Int64, at now: Moment) {
    for index in rows(of: gateway) where connections[index].state == .open {
      connections[index].state = .unconfirmed
      connections[index].until = now.monotonic + milliseconds
      waiting.append(index)
    }
  }

  /// A device of a user is there. Who says that they are offline is not seen.
  private mutating func see(_ index: UInt32, at now: Moment) {
    let user = connections[index].user
    if !connections[index].flags.contains(.hidden), !saysOffline(user) { users[user].lastSeenMilliseconds = now.wall }
  }

  private func rows(of gateway: UInt16) -> [UInt32] {
    gateways[Int(gateway)].connections == 0 ? [] : connections.indices.filter { connections[$0].gateway == gateway }
  }
}
